/*
 * ssh-auth.c: logs in, by what is there: no password at all, the agent's keys, key files, then questions at the terminal.
 *
 * Every attempt leaves a note, so that the one sentence at the end can say what was tried and what was left out, and why.
 */
#include "log.h"
#include "ssh-prompt.h"
#include "ssh-session.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AUTH_MS	     30000
#define TRIES	     3
#define KEY_FILE_MAX 65536

enum outcome { IN, REFUSED, LEFT_OUT, LOST };

struct auth {
	struct ssh_session *s;
	const struct ssh_config *cfg;
	const char *home;
	char offered[256]; /* methods that the server offers: "publickey,password" */
	char notes[512];
	bool may_ask, rsa_left_out, hardware_left_out, passphrase_left_out;
	struct err lost; /* when the outcome is LOST */
};

static void note(struct auth *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct auth *a, const char *fmt, ...)
{
	size_t n = strlen(a->notes);
	va_list ap;

	if (n && n < sizeof(a->notes) - 2)
		n += (size_t)snprintf(a->notes + n, sizeof(a->notes) - n, "; ");
	va_start(ap, fmt);
	vsnprintf(a->notes + n, sizeof(a->notes) - n, fmt, ap);
	va_end(ap);
}

static bool offers(const struct auth *a, const char *method)
{
	return strstr(a->offered, method) != NULL;
}

/* Did the connection end, rather than the attempt? */
static bool is_lost(int rc)
{
	return rc == LIBSSH2_ERROR_SOCKET_SEND || rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_SOCKET_DISCONNECT ||
	       rc == LIBSSH2_ERROR_TIMEOUT || rc == LIBSSH2_ERROR_SOCKET_TIMEOUT;
}

static bool is_refusal(int rc)
{
	return rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED;
}

static enum outcome lost(struct auth *a)
{
	err_set(&a->lost, EPIPE, "%s ended the connection while logging in: %s%s%s", a->s->base.text, session_why(a->s),
		*a->notes ? "; tried: " : "", a->notes);
	return LOST;
}

static enum outcome cancelled(struct auth *a, const struct err *why)
{
	a->lost = *why;
	return LOST;
}

/* The reason why a key of this type cannot be used here; NULL: it can. */
static const char *left_out(struct auth *a, const char *type)
{
	if (!strcmp(type, "ssh-rsa") && !session_has_rsa_sha2()) {
		a->rsa_left_out = true;
		return "RSA";
	}
	if (!strncmp(type, "sk-", 3)) {
		a->hardware_left_out = true;
		return "on a hardware token";
	}
	return strstr(type, "-cert-") ? "a certificate" : !strcmp(type, "ssh-dss") ? "DSA" : NULL;
}

/* ---- the agent ---- */

static enum outcome try_agent_key(struct auth *a, LIBSSH2_AGENT *agent, struct libssh2_agent_publickey *key)
{
	char type[64], print[64];
	const char *why;
	int rc;

	if (!ssh_key_type(key->blob, key->blob_len, type))
		return LEFT_OUT;
	ssh_fingerprint(key->blob, key->blob_len, print);
	why = left_out(a, type);
	if (why) {
		note(a, "key %.16s… of the agent: left out, as it is %s", print, why);
		return LEFT_OUT;
	}
	rc = libssh2_agent_userauth(agent, a->s->user, key);
	if (!rc)
		return IN;
	if (is_lost(rc))
		return lost(a);
	note(a, "key %.16s… of the agent: %s", print, is_refusal(rc) ? "refused" : "the agent does not sign");
	return REFUSED;
}

/* Tries all keys of the SSH agent, or only the one given. */
static enum outcome try_agent(struct auth *a, const struct private_key *only)
{
	struct libssh2_agent_publickey *key = NULL, *previous = NULL;
	LIBSSH2_AGENT *agent;
	enum outcome o = LEFT_OUT;

	if (!getenv("SSH_AUTH_SOCK") || (only && !only->public_bytes))
		return LEFT_OUT;
	agent = libssh2_agent_init(a->s->lib);
	if (!agent || libssh2_agent_connect(agent) || libssh2_agent_list_identities(agent)) {
		log_info("ssh: the agent at SSH_AUTH_SOCK does not answer");
		if (agent)
			libssh2_agent_free(agent);
		return LEFT_OUT;
	}
	while (o != IN && o != LOST && libssh2_agent_get_identity(agent, &key, previous) == 0) {
		if (!only || (only->public_bytes == key->blob_len && !memcmp(only->public_key, key->blob, key->blob_len)))
			o = try_agent_key(a, agent, key);
		previous = key;
	}
	libssh2_agent_disconnect(agent);
	libssh2_agent_free(agent);
	return o;
}

/* ---- key files ---- */

static int use_file(struct auth *a, const char *path, const char *passphrase)
{
	return libssh2_userauth_publickey_fromfile_ex(a->s->lib, a->s->user, (unsigned)strlen(a->s->user), NULL, path, passphrase);
}

static enum outcome after_file(struct auth *a, const char *path, int rc)
{
	if (!rc)
		return IN;
	if (is_lost(rc))
		return lost(a);
	if (is_refusal(rc))
		note(a, "%s: refused", path);
	else
		note(a, "%s: cannot be used (%s)", path, session_why(a->s));
	return REFUSED;
}

static enum outcome try_encrypted(struct auth *a, const char *path)
{
	AUTO_FREE char *question = xasprintf("Passphrase of %s: ", path);
	char answer[PROMPT_MAX];
	struct err e;
	int i, rc;

	if (prompt_recall(question, answer)) {
		rc = use_file(a, path, answer);
		prompt_wipe(answer, sizeof(answer));
		if (!rc || is_lost(rc) || is_refusal(rc))
			return after_file(a, path, rc);
	}
	if (!a->may_ask) {
		a->passphrase_left_out = true;
		note(a, "%s: not tried, as there is no terminal to ask you for its passphrase", path);
		return LEFT_OUT;
	}
	for (i = 0; i < TRIES; i++) {
		if (prompt_ask(question, false, answer, &e))
			return cancelled(a, &e);
		if (!*answer)
			break;
		rc = use_file(a, path, answer);
		prompt_hold(question, answer);
		prompt_wipe(answer, sizeof(answer));
		rc ? prompt_refused() : prompt_accepted();
		if (!rc || is_lost(rc) || is_refusal(rc))
			return after_file(a, path, rc);
	}
	note(a, "%s: not the right passphrase", path);
	return REFUSED;
}

/* The formats that hide it have it beside them. */
static void type_from_pub(const char *path, char type[64])
{
	AUTO_FREE char *pub = xasprintf("%s.pub", path);
	AUTO_FREE char *text = NULL;
	size_t bytes;

	if (!session_read_file(pub, KEY_FILE_MAX, &text, &bytes))
		snprintf(type, 64, "%.*s", (int)MIN(strcspn(text, " \n"), 63), text);
}

static enum outcome try_file(struct auth *a, const char *path, bool named)
{
	AUTO_FREE struct private_key *key = xcalloc(1, sizeof(*key));
	enum outcome o = LEFT_OUT;
	const char *why;
	bool is_key;
	size_t bytes;
	char *text;
	int r = session_read_file(path, KEY_FILE_MAX, &text, &bytes);

	if (r) {
		if (named || r != -ENOENT)
			note(a, "%s: %s", path, strerror(-r));
		return LEFT_OUT;
	}
	is_key = private_key_look(text, key);
	prompt_wipe(text, bytes);
	free(text);
	if (!is_key) {
		note(a, "%s: not a private key", path);
		return LEFT_OUT;
	}
	if (!*key->type)
		type_from_pub(path, key->type);
	why = left_out(a, key->type);
	if (why) {
		note(a, "%s: left out, as it is %s", path, why);
		return LEFT_OUT;
	}
	if (named)
		o = try_agent(a, key);
	if (o == IN || o == LOST)
		return o;
	return key->encrypted ? try_encrypted(a, path) : after_file(a, path, use_file(a, path, ""));
}

static enum outcome try_keys(struct auth *a)
{
	static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"};
	enum outcome o;

	if (a->cfg->identity)
		return try_file(a, a->cfg->identity, true);
	o = try_agent(a, NULL);
	for (size_t i = 0; i < ARRAY_LEN(names) && o != IN && o != LOST; i++) {
		AUTO_FREE char *path = xasprintf("%s/.ssh/%s", a->home, names[i]);

		o = try_file(a, path, false);
	}
	return o;
}

/* ---- questions ---- */

/* A known answer is given in the first try only: it may have been good for one login. */
static int get_answer(struct ssh_session *s, const char *question, bool echo, char answer[PROMPT_MAX])
{
	struct err e;

	if (s->recalls && prompt_recall(question, answer))
		return 0;
	return s->only_recalls ? -ECANCELED : prompt_ask(question, echo, answer, &e);
}

static char *answer_one(struct ssh_session *s, const char *text, size_t n, bool echo)
{
	AUTO_FREE char *question = xasprintf("(%s@%s) %.*s", s->user, s->host, (int)MIN(n, 512), text);
	char answer[PROMPT_MAX], *copy;

	if (s->cancelled || get_answer(s, question, echo, answer)) {
		s->cancelled = true;
		return NULL;
	}
	prompt_hold(question, answer);
	copy = strdup(answer); /* libssh2 frees it */
	prompt_wipe(answer, sizeof(answer));
	return copy;
}

static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(answer_all)
{
	struct ssh_session *s = *abstract;

	(void)name;
	(void)name_len;
	(void)instruction;
	(void)instruction_len;
	for (int i = 0; i < num_prompts; i++) {
		responses[i].text = answer_one(s, (const char *)prompts[i].text, prompts[i].length, prompts[i].echo != 0);
		responses[i].length = responses[i].text ? (unsigned)strlen(responses[i].text) : 0;
	}
	/* libssh2 counts the time from the beginning of the call, the user's typing included */
	libssh2_session_set_timeout(s->lib, (long)((now_ns() - s->asked_ns) / 1000000) + AUTH_MS);
}

static int ask_password(struct auth *a, bool is_again, struct err *e)
{
	AUTO_FREE char *question = xasprintf("%s@%s's password: ", a->s->user, a->s->host);
	AUTO_FREE char *shown = xasprintf("%s%s", is_again ? "Permission denied, please try again.\n" : "", question);
	char answer[PROMPT_MAX];
	int rc;

	if (!(a->s->recalls && prompt_recall(question, answer)) && (a->s->only_recalls || prompt_ask(shown, false, answer, e))) {
		a->s->cancelled = true;
		return LIBSSH2_ERROR_AUTHENTICATION_FAILED;
	}
	prompt_hold(question, answer);
	rc = libssh2_userauth_password_ex(a->s->lib, a->s->user, (unsigned)strlen(a->s->user), answer, (unsigned)strlen(answer), NULL);
	prompt_wipe(answer, sizeof(answer));
	return rc;
}

static int ask_server(struct auth *a)
{
	int rc;

	a->s->asked_ns = now_ns();
	rc = libssh2_userauth_keyboard_interactive_ex(a->s->lib, a->s->user, (unsigned)strlen(a->s->user), answer_all);
	libssh2_session_set_timeout(a->s->lib, AUTH_MS);
	return rc;
}

static enum outcome try_questions(struct auth *a)
{
	bool password = offers(a, "password");
	struct err e;
	int i, rc;

	err_set(&e, ECANCELED, "cancelled at the terminal");
	a->s->only_recalls = !a->may_ask;
	for (i = 0; i < TRIES; i++) {
		a->s->recalls = !i;
		rc = password ? ask_password(a, i > 0, &e) : ask_server(a);
		if (rc || a->s->cancelled)
			prompt_refused();
		if (a->s->cancelled && a->s->only_recalls)
			return REFUSED; /* the user cannot be asked, and the password is not known */
		if (a->s->cancelled)
			return cancelled(a, &e);
		if (!rc) {
			prompt_accepted();
			return IN;
		}
		if (is_lost(rc))
			return lost(a);
		if (rc == LIBSSH2_ERROR_PASSWORD_EXPIRED) {
			note(a, "the password is right, but has expired: change it there");
			return REFUSED;
		}
	}
	note(a, "%s: refused %d times", password ? "password" : "keyboard-interactive", TRIES);
	return REFUSED;
}

/* ---- all of it ---- */

static const char *advice(const struct auth *a)
{
	if (a->rsa_left_out)
		return "This libssh2 cannot sign with RSA keys as servers ask for it today: say --ssh=openssh, or use an ed25519 "
		       "key (ssh-keygen -t ed25519)";
	if (a->hardware_left_out)
		return "For a key on a hardware token say --ssh=openssh";
	if (a->passphrase_left_out)
		return "Add the key to an agent (ssh-add), or call from a terminal";
	if (!offers(a, "publickey"))
		return a->may_ask ? "Is it the right user?" : "Call from a terminal, where the password can be asked for";
	return "Put your public key there (ssh-copy-id), or name another user or key";
}

static int refused(const struct auth *a, struct err *e)
{
	return err_set(e, EACCES, "%s refused the login: tried: %s; it accepts: %s. %s", a->s->base.text,
		       *a->notes ? a->notes : "nothing, as there is no key", a->offered, advice(a));
}

int session_log_in(struct ssh_session *s, const struct ssh_config *cfg, const char *home, struct err *e)
{
	struct auth a = {.s = s, .cfg = cfg, .home = home};
	enum outcome o = LEFT_OUT;
	const char *list;

	libssh2_session_set_timeout(s->lib, AUTH_MS);
	list = libssh2_userauth_list(s->lib, s->user, (unsigned)strlen(s->user));
	if (!list && libssh2_userauth_authenticated(s->lib))
		return 0;
	if (!list) {
		lost(&a);
		*e = a.lost;
		return -e->code;
	}
	snprintf(a.offered, sizeof(a.offered), "%s", list);
	a.may_ask = !cfg->batch && prompt_possible();
	if (offers(&a, "publickey"))
		o = try_keys(&a);
	if (o != IN && o != LOST && (a.may_ask || prompt_knows()) && (offers(&a, "password") || offers(&a, "keyboard-interactive")))
		o = try_questions(&a);
	if (o == LOST)
		*e = a.lost;
	return o == IN ? 0 : o == LOST ? -e->code : refused(&a, e);
}
