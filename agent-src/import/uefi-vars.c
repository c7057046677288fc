/* uefi-vars.c: see uefi-vars.h. */
#include "uefi-vars.h"
#include "image-whole.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define FILE_BYTES_MAX (64u << 20)
#define VARS_BYTES_MAX (4u << 20) /* within an image */

static int read_image(const char *qemu_img, const char *path, uint8_t **out, size_t *n, struct err *e)
{
	struct image_source s = {.path = xstrdup(path)};
	int r = image_examine(&s, "qcow2", e);

	*out = xmalloc(VARS_BYTES_MAX);
	r = r ?: image_start(qemu_img, &s, VARS_BYTES_MAX, *out, n, e);
	if (r)
		free(*out);
	image_source_fini(&s);
	return r;
}

int uefi_vars_read(const char *qemu_img, const char *path, uint8_t **out, size_t *n, struct err *e)
{
	static const char qcow2[] = "QFI\xfb"; /* variables begin with 16 bytes of zeros */
	AUTO_CLOSE int fd = open_regular(path);
	char *bytes;
	int r = fd < 0 ? fd : read_regular(fd, FILE_BYTES_MAX, &bytes, n);

	if (r)
		return err_sys(e, -r, "cannot read %s", path);
	*out = (uint8_t *)bytes;
	if (*n > strlen(qcow2) && !memcmp(bytes, qcow2, strlen(qcow2))) {
		free(bytes);
		r = read_image(qemu_img, path, out, n, e);
	}
	if (r || *n)
		return r;
	free(*out);
	return err_set(e, EINVAL, "%s is empty", path);
}

/* A volume that they are on may be longer than they are, which their header tells (EFI_FIRMWARE_VOLUME_HEADER: FvLength, Signature). */
bool uefi_vars_fit(const uint8_t *own, size_t n, size_t bytes)
{
	uint64_t length = 0;

	for (size_t i = 0; n > 44 && i < 8; i++)
		length |= (uint64_t)own[32 + i] << 8 * i;
	return n == bytes || (n > bytes && length == bytes && !memcmp(own + 40, "_FVH", 4));
}
