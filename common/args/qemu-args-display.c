/* qemu-args-display.c: the rules of qemu-args.c for displays and sound: VNC, SPICE, windows, audio back ends. */
#include "qemu-args-rules.h"
#include "util.h"

#include <string.h>

static int vnc(struct rewrite *w, struct item *it, struct kv_list *l)
{
	const char *at = l->n && !l->v[0].key ? l->v[0].value : "none";
	int r = 0;

	w->has_display = true;
	if (strcmp(at, "none") && !text_starts_with(at, "unix:") && !kv_flag(l, "reverse", false) &&
	    args_check_in_place(w, it, ARGS_ONE_PORT " (a unix socket can be had: -vnc unix:PATH)"))
		return -w->e->code;
	if (text_starts_with(at, "unix:")) {
		char *path = xstrdup(l->v[0].value + 5);

		r = args_listen(w, it, "-vnc socket", &path);
		kv_replace(&l->v[0].value, xasprintf("unix:%s", path));
		free(path);
	}
	if (kv_flag(l, "password", false))
		args_note(w, "the VNC password has to be set again after the move (set_password): it does not travel");
	if (r == 0)
		args_emit_list(w, "vnc", l);
	return r;
}

int args_on_vnc(struct rewrite *w, struct item *it)
{
	return vnc(w, it, &it->p.l);
}

int args_on_spice(struct rewrite *w, struct item *it)
{
	static const char *const files[] = {"x509-key-file",	"x509-cert-file", "x509-cacert-file",
					    "x509-dh-key-file", "x509-dir",	  "rendernode"};
	struct kv_list *l = &it->p.l;
	int r = 0;

	w->has_display = true;
	if ((kv_get(l, "port", NULL) || kv_get(l, "tls-port", NULL)) && !kv_flag(l, "unix", false))
		r = args_check_in_place(w, it, ARGS_ONE_PORT);
	for (size_t i = 0; i < l->n && r == 0; i++) {
		const char *key = l->v[i].key;

		if (key && !strcmp(key, "addr") && kv_flag(l, "unix", false))
			r = args_listen(w, it, "-spice socket", &l->v[i].value);
		else if (key && args_among(key, files, ARRAY_LEN(files)))
			args_file(w, it, strcmp(key, "rendernode") ? ARGS_SECRET : ARGS_HOST_DEVICE, true, NULL, &l->v[i].value);
	}
	if (!kv_flag(l, "disable-ticketing", false) && !kv_get(l, "password", NULL) && !kv_get(l, "password-secret", NULL))
		args_note(w, "the SPICE password has to be set again after the move (set_password): it does not travel");
	if (r == 0)
		args_emit_item(w, it);
	return r;
}

/* True if a display device needs a display that renders on the host. */
static bool renders_on_host(const struct rewrite *w)
{
	static const char *const drivers[] = {"virtio-vga-gl", "virtio-gpu-gl*"};

	for (size_t i = 0; i < w->item_count; i++) {
		const char *driver = kv_get(&w->items[i].p.l, "driver", "driver");

		if (!strcmp(w->items[i].name, "device") && driver && args_among(driver, drivers, ARRAY_LEN(drivers)))
			return true;
	}
	return false;
}

int args_on_window(struct rewrite *w, struct item *it)
{
	const char *gl = kv_get(&it->p.l, "gl", NULL);
	const char *instead = !renders_on_host(w) ? "none" : gl && !strcmp(gl, "es") ? "egl-headless,gl=es" : "egl-headless";

	w->has_display = true;
	args_emit(w, "display", instead);
	args_note(w, "-%s%s%s is a window on the source's desktop: the destination runs with -display %s", it->name, it->value ? " " : "",
		  it->value ? it->value : "", instead);
	return 0;
}

int args_on_display(struct rewrite *w, struct item *it)
{
	static const char *const windows[] = {"gtk", "sdl", "curses", "cocoa", "spice-app", "dbus", "default"};
	const char *type = kv_get(&it->p.l, "type", "type");
	struct kv_list l;
	struct kv *node;
	int r;

	w->has_display = true;
	if (text_starts_with(it->value, "vnc=")) {
		kv_parse(&l, it->value + 4);
		r = vnc(w, it, &l);
		kv_fini(&l);
		return r;
	}
	if (type && args_among(type, windows, ARRAY_LEN(windows)))
		return args_on_window(w, it);
	node = kv_find(&it->p.l, "rendernode", NULL);
	if (node)
		args_file(w, it, ARGS_HOST_DEVICE, false, NULL, &node->value);
	args_emit_item(w, it);
	return 0;
}

int args_on_nographic(struct rewrite *w, struct item *it)
{
	w->has_display = true;
	args_note_stdio(w);
	args_emit(w, it->name, it->value);
	return 0;
}

/* ---- sound ---- */

static const char *const desktops[] = {"alsa", "pa", "pipewire", "jack", "sdl", "oss", "sndio", "dbus", "coreaudio", "dsound"};

/* -audio DRIVER,model=…: DRIVER and its properties become "none"; model stays. */
int args_on_audio(struct rewrite *w, struct item *it)
{
	struct kv *driver = kv_find(&it->p.l, "driver", "driver");
	const char *model = kv_get(&it->p.l, "model", NULL), *id = kv_get(&it->p.l, "id", NULL);
	struct kv_list l = {.n = 0};

	if (!driver || !args_among(driver->value, desktops, ARRAY_LEN(desktops)))
		return args_on_audiodev(w, it);
	kv_append(&l, "driver", "none");
	if (model)
		kv_append(&l, "model", model);
	if (id)
		kv_append(&l, "id", id);
	args_note(w, "-%s %s plays on the source's desktop: the destination runs without sound", it->name, driver->value);
	args_emit_list(w, it->name, &l);
	kv_fini(&l);
	return 0;
}

/* A back end for a desktop's sound system keeps only its id, which the sound card names. */
int args_on_audiodev(struct rewrite *w, struct item *it)
{
	struct kv *driver = kv_find(&it->p.l, "driver", "driver"), *path = kv_find(&it->p.l, "path", NULL);

	if (driver && args_among(driver->value, desktops, ARRAY_LEN(desktops)))
		return args_on_audio(w, it);
	if (path && driver && !strcmp(driver->value, "wav") && args_check_in_place(w, it, ARGS_EMPTIED))
		return -w->e->code;
	if (path && driver && !strcmp(driver->value, "wav"))
		args_file(w, it, ARGS_LOG, false, "sound", &path->value);
	args_emit_item(w, it);
	return 0;
}
