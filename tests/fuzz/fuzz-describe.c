/*
 * fuzz-describe.c: libFuzzer on what a source describes: JSON to a plan, or to a refusal. The QEMU that would be asked is none.
 */
#include "../../agent-dst/moves/arriving-transfer.h"
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

static const char seed[] =
	"{\"name\":\"a\",\"exe\":\"/bin/true\",\"machine\":\"pc\",\"channels\":2,\"multifd\":1,\"cwd\":\"/w\",\"disk_dir\":\"/tmp\",\"ram_bytes\":1,"
	"\"argv\":[\"q\",\"-drive\",\"file=/a,if=none,id=d\",\"-kernel\",\"/k\",\"-netdev\",\"tap,id=n,helper=/h\",\"-readconfig\",\"f\"],"
	"\"disks\":[{\"object\":1,\"file\":\"/a\",\"real_path\":\"/a\",\"format\":\"qcow2\",\"virtual_size\":1,\"allocated\":1,\"mode\":384,"
	"\"acl\":\"00\",\"inode\":1,\"path\":\"/tmp/fuzz-none\",\"backing\":{\"name\":\"/b\",\"format\":\"raw\"}}],"
	"\"files\":[{\"role\":\"backing\",\"path\":\"/b\",\"name\":\"b\",\"object\":1,\"parent\":-1,\"read_only\":true,\"kind\":\"file\",\"size\":1,"
	"\"digest\":\"x\",\"wish\":\"auto\"},{\"role\":\"kernel\",\"path\":\"/k\",\"real_path\":\"/k\",\"kind\":\"file\",\"wish\":\"copy\","
	"\"read_only\":true},{\"role\":\"media\",\"path\":\"/m\",\"ejected\":true}],\"map_net\":{\"n\":\"bridge:br1\"},"
	"\"configs\":[{\"path\":\"f\",\"text\":\"[device]\"}],\"env\":{\"LD_LIBRARY_PATH\":\"/x\"},\"ram_mode\":\"opaque\"}";

/* A description that lies. */
static const char lies[] =
	"{\"name\":\"../../a\",\"exe\":\"/bin/true\",\"machine\":\"../pc\",\"channels\":1000000000,\"multifd\":-1,\"cwd\":\"..\","
	"\"disk_dir\":\"/tmp/../tmp\",\"ram_bytes\":1152921504606846976,\"argv\":[\"q\",\"-drive\",\"file=/a,if=none,id=d\"],"
	"\"disks\":[{\"object\":4294967297,\"file\":\"/a\",\"real_path\":\"/..\",\"format\":\"raw\",\"virtual_size\":1152921504606846976,"
	"\"allocated\":-1,\"cluster_size\":-1,\"mode\":-1,\"uid\":-1,\"acl\":\"0\"},{\"object\":2,\"file\":\"/a\",\"real_path\":\"/x/..\","
	"\"format\":\"raw\",\"virtual_size\":-1,\"backing\":{\"name\":\"../../b\",\"format\":\"raw\"}}],"
	"\"files\":[{\"role\":\"backing\",\"path\":\"/b\",\"name\":\"../../b\",\"object\":2,\"parent\":0,\"size\":-1,\"wish\":\"copy\"},"
	"{\"role\":\"kernel\",\"path\":\"/../k\",\"kind\":\"file\",\"wish\":\"copy\",\"read_only\":true,\"size\":9223372036854775807}]}";

static const char tpm[] =
	"{\"name\":\"a\",\"exe\":\"/bin/true\",\"machine\":\"pc\",\"channels\":1,\"cwd\":\"/w\",\"disk_dir\":\"/tmp\",\"how\":\"cold\",\"argv\":[\"q\","
	"\"-chardev\",\"socket,id=c,path=/t\",\"-tpmdev\",\"emulator,id=t,chardev=c\"],\"tpm\":{\"socket\":\"/t\",\"tpm2\":true,"
	"\"locality\":\"allow-set-locality\",\"seccomp\":\"action=none\"}}";

/* Disks that both hosts see, by a lock and by word. */
static const char staying[] =
	"{\"name\":\"a\",\"exe\":\"/bin/true\",\"machine\":\"pc\",\"channels\":1,\"cwd\":\"/w\",\"ram_mode\":\"pages\",\"argv\":[\"q\",\"-drive\","
	"\"file=nbd://h/x,if=none,id=d\",\"-drive\",\"file=/etc/passwd,if=none,id=e\",\"-blockdev\",\"driver=rbd,node-name=f,pool=p,image=i\"],"
	"\"disks\":[{\"object\":1,\"by_word\":\"nbd://h/x\",\"node\":\"#b1\",\"drive\":\"d\",\"qdev\":\"/machine/x\",\"format\":\"raw\",\"virtual_size\":1},"
	"{\"object\":2,\"node\":\"#b2\",\"file\":\"/etc/passwd\",\"real_path\":\"/etc/passwd\",\"format\":\"raw\",\"virtual_size\":1,\"allocated\":1,"
	"\"mark\":17592186044417,\"shared\":true},{\"object\":3,\"by_word\":\"/dev/null\",\"node\":\"f\",\"device\":true,\"identity\":\"naa.1\","
	"\"format\":\"raw\",\"virtual_size\":1}]}";

/* Files of a guest that stays at the source. */
static const char brought[] =
	"{\"name\":\"a\",\"exe\":\"/bin/true\",\"channels\":1,\"cwd\":\"/w\",\"disk_dir\":\"/tmp\",\"how\":\"disks\",\"keep_partial_s\":60,"
	"\"argv\":[\"q\"],\"disks\":[{\"object\":1,\"file\":\"/a\",\"real_path\":\"/a\",\"format\":\"raw\",\"virtual_size\":1,\"allocated\":1,"
	"\"keep\":true}]}";

/* Files of a guest that boots at the destination, which does not need all of them. */
static const char left[] =
	"{\"name\":\"a\",\"exe\":\"/bin/true\",\"channels\":1,\"cwd\":\"/w\",\"disk_dir\":\"/tmp\",\"how\":\"warm\",\"argv\":[\"q\"],"
	"\"disks\":[{\"object\":1,\"file\":\"/a\",\"real_path\":\"/a\",\"format\":\"raw\",\"virtual_size\":1,\"allocated\":1},"
	"{\"object\":2,\"file\":\"/b\",\"real_path\":\"/b\",\"format\":\"qcow2\",\"virtual_size\":65536,\"empty\":true}]}";

static void write_seeds(void)
{
	seed_write("seed", seed, sizeof(seed) - 1);
	seed_write("brought", brought, sizeof(brought) - 1);
	seed_write("left", left, sizeof(left) - 1);
	seed_write("lies", lies, sizeof(lies) - 1);
	seed_write("staying", staying, sizeof(staying) - 1);
	seed_write("tpm", tpm, sizeof(tpm) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct move_config cfg = {.runtime_dir = "/tmp/vmferry-fuzz-none", .state_dir = "/tmp/vmferry-fuzz-none"};
	json_t *description = json_loadb((const char *)p, n, 0, NULL), *accept;
	struct transfer *t;
	struct err e;

	if (!description)
		return -1;
	require(!transfer_new(&t, &cfg, &e));
	json_object_del(description, "install_unit"); /* systemctl(1) */
	t->target.description = description;
	if (!parts_examine(&t->parts, &e)) {
		accept = json_object();
		require(!parts_describe(&t->parts, accept, &e));
		json_decref(accept);
	}
	target_free_environment(target_environment(&t->target));
	transfer_free(t);
	return 0;
}
