/*
 * disk-content.c: see disk-content.h. Signatures: file(1)'s magic and blkid(8); GPT: UEFI specification, chapter 5; the boot sector:
 * the same, 5.2, and the file systems' own documents.
 */
#include "disk-content.h"
#include "be.h"
#include "util.h"

#include <string.h>

#define BOOT_CODE      440u /* bytes of a boot sector before what partitioning tools write there */
#define MBR_PARTITIONS 446u
#define SECTOR	       512u

struct signature {
	size_t at;
	const char *bytes;
	size_t n;
	const char *what; /* NULL: a disk */
};
#define SIGNATURE(at, bytes, what)                                                                                                         \
	{                                                                                                                                  \
		at, bytes, sizeof(bytes) - 1, what                                                                                         \
	}

/* Signatures of other files that are long enough not to be in a boot sector by chance. */
static const struct signature others[] = {
	SIGNATURE(32769, "CD001", "an ISO image of a CD or DVD, such as an installation medium"),
	SIGNATURE(34817, "BEA01", "an image of a DVD (UDF)"),
	SIGNATURE(257, "ustar", "a tar archive"),
	SIGNATURE(0, "PK\3\4", "a zip archive"),
	SIGNATURE(0, "PK\5\6", "a zip archive"),
	SIGNATURE(0, "7z\xbc\xaf\x27\x1c", "a 7z archive"),
	SIGNATURE(0, "Rar!\x1a\7", "a RAR archive"),
	SIGNATURE(0, "MSCF", "a cabinet archive"),
	SIGNATURE(0, "xar!", "a xar archive"),
	SIGNATURE(0, "!<arch>\n", "an ar archive or a Debian package"),
	SIGNATURE(0, "\xed\xab\xee\xdb", "an RPM package"),
	SIGNATURE(0, "07070", "a cpio archive"),
	SIGNATURE(0, "MSWIM\0\0\0", "a Windows image (WIM)"),
	SIGNATURE(0,
		  "\xfd"
		  "7zXZ",
		  "compressed (xz)"),
	SIGNATURE(0, "BZh", "compressed (bzip2)"),
	SIGNATURE(0, "\x28\xb5\x2f\xfd", "compressed (zstd)"),
	SIGNATURE(0, "\4\x22\x4d\x18", "compressed (lz4)"),
	SIGNATURE(0, "LZIP", "compressed (lzip)"),
	SIGNATURE(0, "%PDF", "a PDF document"),
	SIGNATURE(0, "{\\rtf", "an RTF document"),
	SIGNATURE(0, "%!PS", "a PostScript document"),
	SIGNATURE(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an older Microsoft Office, or an MSI package"),
	SIGNATURE(0, "SQLite format 3", "an SQLite database"),
	SIGNATURE(0,
		  "\x7f"
		  "ELF",
		  "a program or memory dump (ELF)"),
	SIGNATURE(0x202, "HdrS", "a Linux kernel"),
	SIGNATURE(40, "_FVH", "a firmware"),
	SIGNATURE(0, "\x89PNG", "a picture (PNG)"),
	SIGNATURE(0, "GIF8", "a picture (GIF)"),
	SIGNATURE(0, "\xff\xd8\xff", "a picture (JPEG)"),
	SIGNATURE(0, "RIFF", "audio, video or a picture (RIFF)"),
	SIGNATURE(4, "ftyp", "a video (MP4)"),
	SIGNATURE(0, "\x1a\x45\xdf\xa3", "a video (Matroska)"),
	SIGNATURE(0, "OggS", "audio or video (Ogg)"),
	SIGNATURE(0, "fLaC", "audio (FLAC)"),
	SIGNATURE(0, "ID3", "audio (MP3)"),
	SIGNATURE(0, "QEVM", "the saved state of a guest of QEMU's"),
	SIGNATURE(0, "LibvirtQemudSave", "the saved state of a guest of libvirt's"),
	SIGNATURE(0, "WithoutFreeSpace", "an image of Parallels's: make another of it (qemu-img convert -f parallels)"),
	SIGNATURE(0, "WithouFreSpacExt", "an image of Parallels's: make another of it (qemu-img convert -f parallels)"),
	SIGNATURE(0, "Bochs Virtual HD Image", "an image of Bochs's: make another of it (qemu-img convert -f bochs)"),
	SIGNATURE(0, "\x3a\xff\x26\xed", "a sparse image of Android's: make another of it (simg2img)"),
};

/* Short signatures count only where nothing says that the file is a disk. */
static const struct signature maybe_others[] = {
	SIGNATURE(0, "\x1f\x8b", "compressed (gzip)"),
	SIGNATURE(0, "MZ", "a program of Windows or UEFI"),
	SIGNATURE(0, "\xff\xfe", "a text"),
	SIGNATURE(0, "\xfe\xff", "a text"),
	SIGNATURE(0, "\xca\xfe\xba\xbe", "a program"),
};

static const struct signature disks[] = {
	SIGNATURE(510, "\x55\xaa", NULL),	  /* boot sector: MBR, FAT, NTFS, exFAT */
	SIGNATURE(512, "EFI PART", NULL),	  /* GPT */
	SIGNATURE(4096, "EFI PART", NULL),	  /* GPT in sectors of 4096 bytes */
	SIGNATURE(0, "ER\2\0", NULL),		  /* Apple partition map */
	SIGNATURE(508, "\xda\xbe", NULL),	  /* Sun's label */
	SIGNATURE(512, "\x57\x45\x56\x82", NULL), /* BSD's label */
	SIGNATURE(0, "\x57\x45\x56\x82", NULL),	  /* the same, before anything else */
	SIGNATURE(0, "LABELONE", NULL),		  /* LVM, in one of four sectors */
	SIGNATURE(512, "LABELONE", NULL),
	SIGNATURE(1024, "LABELONE", NULL),
	SIGNATURE(1536, "LABELONE", NULL),
	SIGNATURE(0, "LUKS\xba\xbe", NULL),
	SIGNATURE(0, "\xfc\x4e\x2b\xa9", NULL), /* Linux RAID */
	SIGNATURE(4096, "\xfc\x4e\x2b\xa9", NULL),
	SIGNATURE(1080, "\x53\xef", NULL), /* ext2 to ext4 */
	SIGNATURE(0, "XFSB", NULL),
	SIGNATURE(65600, "_BHRfS_M", NULL),			   /* btrfs */
	SIGNATURE(4120, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", NULL), /* bcache, bcachefs */
	SIGNATURE(4086, "SWAPSPACE2", NULL),
	SIGNATURE(4086, "SWAP-SPACE", NULL),
	SIGNATURE(1024, "\x10\x20\xf5\xf2", NULL), /* F2FS */
	SIGNATURE(1024, "\xe2\xe1\xf5\xe0", NULL), /* EROFS */
	SIGNATURE(0, "hsqs", NULL),		   /* SquashFS */
	SIGNATURE(1024, "H+", NULL),		   /* HFS+ */
	SIGNATURE(1024, "HX", NULL),
	SIGNATURE(32, "NXSB", NULL), /* APFS */
	SIGNATURE(32768, "JFS1", NULL),
	SIGNATURE(65588, "ReIsEr", NULL),
	SIGNATURE(1030, "\x34\x34", NULL),	      /* NILFS2 */
	SIGNATURE(9564, "\x54\x19\x01\0", NULL),      /* UFS1 */
	SIGNATURE(66908, "\x19\x01\x54\x19", NULL),   /* UFS2 */
	SIGNATURE(131072, "\x0c\xb1\xba\0", NULL),    /* ZFS, its first uberblock */
	SIGNATURE(135168, "\x0c\xb1\xba\0", NULL),    /* the same, where blocks have 4096 bytes */
	SIGNATURE(0, "bluestore block device", NULL), /* Ceph */
	SIGNATURE(3, "-FVE-FS-", NULL),		      /* BitLocker */
};

static const struct signature *find(const struct signature *list, size_t count, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (n >= list[i].at + list[i].n && !memcmp(p + list[i].at, list[i].bytes, list[i].n))
			return &list[i];
	return NULL;
}

/* Letters in the first sector, and nothing but zeros behind them. */
static bool is_text(const uint8_t *p, size_t n)
{
	size_t i, len;

	n = MIN(n, SECTOR);
	for (len = 0; len < n && p[len]; len++)
		if (p[len] < ' ' && p[len] != '\t' && p[len] != '\r' && p[len] != '\n' && p[len] != '\f' && p[len] != '\x1b')
			return false;
	for (i = len; i < n && !p[i]; i++)
		;
	return len && i == n;
}

/* ---- the boot sector and its partitions ---- */

static const uint8_t esp_guid[] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
static const uint8_t bios_boot_guid[] = {0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49};

/* Windows writes this code to every disk. It starts the active partition, and nothing where no partition is active. */
static const uint8_t windows_code[] = {0x33, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c};

/* A file system without partitions: the first bytes are a jump, and the geometry of the file system follows. */
static bool is_volume(const uint8_t *p)
{
	unsigned sector = p[11] | (unsigned)p[12] << 8;

	return ((p[0] == 0xeb && p[2] == 0x90) || p[0] == 0xe9) &&
	       (!memcmp(p + 3, "EXFAT", 5) || sector == 512 || sector == 1024 || sector == 2048 || sector == 4096);
}

static bool is_fat_type(uint8_t type)
{
	return type == 0x01 || type == 0x04 || type == 0x06 || type == 0x0b || type == 0x0c || type == 0x0e || type == 0xef;
}

struct mbr {
	bool active, protective, fat;
};

/* Reads the four partitions. False: the boot sector has something else in their place. */
static bool read_mbr(struct disk_content *c, struct mbr *m, const uint8_t *p)
{
	const uint8_t *entry;

	*m = (struct mbr){.active = false};
	for (size_t i = 0; i < 4; i++)
		if (p[MBR_PARTITIONS + 16 * i] & 0x7f)
			return false;
	for (size_t i = 0; i < 4; i++) {
		entry = p + MBR_PARTITIONS + 16 * i;
		if (!entry[4])
			continue;
		if (entry[4] == 0xee) {
			m->protective = true;
			continue;
		}
		m->active |= *entry == 0x80;
		m->fat |= is_fat_type(entry[4]);
		c->uefi_boots |= entry[4] == 0xef;
		c->end = MAX(c->end, ((uint64_t)le32(entry + 8) + le32(entry + 12)) * SECTOR);
	}
	return true;
}

/* Reads the GPT. True: a partition, or the flag of one, is meant for boot loaders of a BIOS. */
static bool read_gpt(struct disk_content *c, const uint8_t *p, size_t n)
{
	const uint8_t *header = p + c->sector;
	uint64_t last = le64(header + 32), at = le64(header + 72), first, size = le32(header + 84), count = MIN(le32(header + 80), 1024u),
		 i;
	bool bios = false;

	c->end = last < UINT64_MAX / 8192 ? (last + 1) * c->sector : 0;
	first = at < n / c->sector ? at * c->sector : n;
	for (i = 0; size >= 128 && size <= 4096 && i < count && first + (i + 1) * size <= n; i++) {
		const uint8_t *entry = p + first + i * size;

		c->uefi_boots |= !memcmp(entry, esp_guid, sizeof(esp_guid));
		bios |= !memcmp(entry, bios_boot_guid, sizeof(bios_boot_guid)) || (!bytes_are_zero(entry, 16) && (entry[48] & 4));
	}
	return bios;
}

static void read_partitions(struct disk_content *c, const uint8_t *p, size_t n)
{
	bool code = !bytes_are_zero(p, BOOT_CODE), for_bios = false, partitioned;
	struct mbr m;

	if (is_volume(p)) {
		c->is_volume = true;
		c->bios_boots = code;
		c->uefi_could_boot = true;
		return;
	}
	partitioned = read_mbr(c, &m, p);
	c->sector = n >= 2 * SECTOR && !memcmp(p + SECTOR, "EFI PART", 8) ? SECTOR
		    : n >= 2 * 4096 && !memcmp(p + 4096, "EFI PART", 8)	  ? 4096
									  : 0;
	if (partitioned && !m.protective)
		c->sector = 0; /* a GPT that was there before */
	if (c->sector)
		for_bios = read_gpt(c, p, n);
	c->bios_boots = code && (!c->sector || for_bios || m.active || memcmp(p, windows_code, sizeof(windows_code)) != 0);
	c->uefi_could_boot = c->uefi_boots || m.fat;
}

/* ---- file systems ---- */

static void read_size(struct disk_content *c, const uint8_t *p, size_t n)
{
	if (n >= 2048 && !memcmp(p + 1080, "\x53\xef", 2) && le32(p + 1024 + 24) < 8) {
		uint64_t blocks = le32(p + 1024 + 4);

		if (le32(p + 1024 + 96) & 0x80) /* 64bit */
			blocks |= (uint64_t)le32(p + 1024 + 0x150) << 32;
		if (blocks < UINT64_MAX >> 18)
			c->end = blocks << (10 + le32(p + 1024 + 24));
	} else if (n >= 16 && !memcmp(p, "XFSB", 4) && be64(p + 8) < UINT64_MAX >> 17 && be32(p + 4) <= 65536) {
		c->end = be64(p + 8) * be32(p + 4);
	}
}

void disk_content_read(struct disk_content *out, const uint8_t *p, size_t n)
{
	const struct signature *other = find(others, ARRAY_LEN(others), p, n);

	*out = (struct disk_content){.other = other ? other->what : NULL};
	/* zeros where other files have a signature */
	out->is_disk = find(disks, ARRAY_LEN(disks), p, n) || bytes_are_zero(p, MIN(n, SECTOR));
	if (n >= SECTOR && p[510] == 0x55 && p[511] == 0xaa)
		read_partitions(out, p, n);
	if (!out->end) {
		read_size(out, p, n);
		out->is_volume |= out->end > 0;
	}
	if (out->other || out->is_disk)
		return;
	other = find(maybe_others, ARRAY_LEN(maybe_others), p, n);
	out->other = other ? other->what : is_text(p, n) ? "a text" : NULL;
}
