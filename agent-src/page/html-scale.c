/* html-scale.c: see html-scale.h. */
#include "html-scale.h"
#include "util.h"

#include <math.h>
#include <string.h>

static const struct unit {
	enum quantity q;
	double size, from; /* used when the greatest value is no less than from */
	const char *name;
} units[] = {
	{Q_MS, 1, 0, "ms"},
	{Q_MS, 1e3, 2e3, "s"},
	{Q_MS, 60e3, 1200e3, "min"},
	{Q_BYTES, 1, 0, "B"},
	{Q_BYTES, 0x1p10, 0x1p11, "KiB"},
	{Q_BYTES, 0x1p20, 0x1p21, "MiB"},
	{Q_BYTES, 0x1p30, 0x1p31, "GiB"},
	{Q_BYTES, 0x1p40, 0x1p41, "TiB"},
	{Q_BYTES_PER_S, 1, 0, "B/s"},
	{Q_BYTES_PER_S, 0x1p10, 0x1p11, "KiB/s"},
	{Q_BYTES_PER_S, 0x1p20, 0x1p21, "MiB/s"},
	{Q_BYTES_PER_S, 0x1p30, 0x1p31, "GiB/s"},
	{Q_PLAIN, 1, 0, ""},
};

static const struct unit *unit_for(enum quantity q, double max)
{
	const struct unit *best = NULL;

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (units[i].q == q && max >= units[i].from)
			best = &units[i];
	return best;
}

/* The next 1, 2 or 5 times a power of ten. */
static double round_step(double raw)
{
	double power = pow(10, floor(log10(raw))), lead = raw / power;

	return power * (lead <= 1.0001 ? 1 : lead <= 2.0001 ? 2 : lead <= 5.0001 ? 5 : 10);
}

struct scale scale_for(enum quantity q, double max, unsigned ticks, bool round_up)
{
	const struct unit *u;
	struct scale s;
	double step;

	if (!(max > 1e-9))
		max = q == Q_PLAIN ? 1 : 10;
	u = unit_for(q, max);
	step = round_step(max / u->size / ticks);
	s = (struct scale){.max = max, .step = step * u->size, .unit = u->size, .unit_name = u->name};
	s.decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 0.0001);
	if (round_up)
		s.max = ceil(max / s.step - 0.0001) * s.step;
	return s;
}

struct scale scale_for_counts(double max, unsigned ticks)
{
	struct scale s = scale_for(Q_PLAIN, fmax(max, 1), ticks, true);

	if (s.step < 1)
		s = (struct scale){.max = ceil(s.max - 0.0001), .step = 1, .unit = 1, .unit_name = ""};
	return s;
}

const char *scale_tick(char buf[SHOW_MAX], const struct scale *s, double v)
{
	double x = v / s->unit;

	if (x >= 1e6)
		snprintf(buf, SHOW_MAX, "%.6g", x);
	else
		snprintf(buf, SHOW_MAX, "%.*f", MIN(s->decimals, 12), x);
	return buf;
}

const char *scale_value(char buf[SHOW_MAX], enum quantity q, double v)
{
	switch (q) {
	case Q_MS:
		return show_ms(buf, v);
	case Q_BYTES:
		return show_bytes(buf, v);
	case Q_BYTES_PER_S:
		show_bytes(buf, v);
		return isnan(v) ? buf : strcat(buf, "/s");
	case Q_PLAIN:
		break;
	}
	return show_number(buf, v);
}
