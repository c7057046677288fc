/*
 * fuzz-describe.c: libFuzzer on what a source describes: JSON to a plan, or to a refusal. The QEMU that would be asked is none.
 */
#include "../../agent-dst/moves/move-private.h"
#include "../../agent-dst/launch/preflight.h"
#include "afterwards.h"
#include "seed.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* In place of preflight.c's: no QEMU is started. */
int preflight_qemu(struct preflight *p, struct loop *l, json_t **findings, char **version, struct err *e)
{
	(void)p, (void)l, (void)e;
	*findings = json_array();
	*version = xstrdup("10.0.0");
	return 0;
}

/* In place of move-prepare.c's, which nobody comes to. */
int move_own_file(struct move *m, const char *path, struct err *e)
{
	(void)m, (void)path, (void)e;
	abort();
}

int move_publish(struct move *m, const char *temp, const char *path, struct err *e)
{
	(void)m, (void)temp, (void)path, (void)e;
	abort();
}

static const char seed[] =
	"{\"name\":\"a\",\"exe\":\"/bin/true\",\"machine\":\"pc\",\"channels\":2,\"multifd\":1,\"cwd\":\"/w\",\"disk_dir\":\"/tmp\",\"ram_bytes\":1,"
	"\"argv\":[\"q\",\"-drive\",\"file=/a,if=none,id=d\",\"-kernel\",\"/k\",\"-netdev\",\"tap,id=n,helper=/h\",\"-readconfig\",\"f\"],"
	"\"disks\":[{\"object\":1,\"file\":\"/a\",\"real_path\":\"/a\",\"format\":\"qcow2\",\"virtual_size\":1,\"allocated\":1,\"mode\":384,"
	"\"acl\":\"00\",\"inode\":1,\"path\":\"/tmp/fuzz-none\",\"backing\":{\"name\":\"/b\",\"format\":\"raw\"}}],"
	"\"files\":[{\"role\":\"backing\",\"path\":\"/b\",\"name\":\"b\",\"object\":1,\"parent\":-1,\"read_only\":true,\"kind\":\"file\",\"size\":1,"
	"\"digest\":\"x\",\"wish\":\"auto\"},{\"role\":\"kernel\",\"path\":\"/k\",\"real_path\":\"/k\",\"kind\":\"file\",\"wish\":\"copy\","
	"\"read_only\":true},{\"role\":\"media\",\"path\":\"/m\",\"ejected\":true}],\"map_net\":{\"n\":\"bridge:br1\"},"
	"\"configs\":[{\"path\":\"f\",\"text\":\"[device]\"}],\"env\":{\"LD_LIBRARY_PATH\":\"/x\"},\"ram_mode\":\"opaque\"}";

ONE_SEED(seed)

static void move_forget(struct move *m)
{
	size_t i;

	for (i = 0; i < m->disk_count; i++) {
		free(m->disks[i].from);
		free(m->disks[i].path);
		free(m->disks[i].format);
		free(m->disks[i].backing);
		free(m->disks[i].backing_format);
		free(m->disks[i].acl);
	}
	free(m->disks);
	move_free_files(m);
	args_result_fini(&m->args);
	json_decref(m->findings);
	json_decref(m->afterwards);
	json_decref(m->description);
	free(m->qemu_version);
	free(m->exe);
	free(m->name);
	free(m->dir);
	free(m->run_dir);
	free(m->qmp_path);
	free(m->incoming);
	free(m->nbd_socket);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct move_config cfg = {.runtime_dir = "/tmp/vmferry-fuzz-none"};
	struct move m = {.cfg = &cfg};
	char **env;
	struct err e;

	m.description = json_loadb((const char *)p, n, 0, NULL);
	if (!m.description)
		return -1;
	json_object_del(m.description, "install_unit"); /* systemctl(1) */
	if (!move_plan(&m, &e))
		json_decref(move_plan_json(&m));
	env = move_environment(&m);
	move_free_environment(env);
	move_forget(&m);
	return 0;
}
