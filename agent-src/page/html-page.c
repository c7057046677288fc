/*
 * html-page.c: see html-page.h.
 *
 * The page is one file: no script, nothing fetched. It is well-formed XML, too, so that any XML parser can read it. Colours: blue
 * is vmferry, grey is everything else; where more must be told apart the Okabe-Ito palette is used, which colour-blind people
 * can tell apart, and never without names in the same order.
 */
#include "html-page.h"
#include "html-value.h"
#include "util.h"
#include "version.h"

#include <string.h>
#include <time.h>

#define ROWS_MAX 200

static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#525b66;--rule:#d3d8de;--card:#f5f7f9;--ours:#0068ad;--native:#9aa3ad;"
	"--dot:#fff;--bad:#b3261e;--good:#1a6b3a;--mark:#525b66;--shade:#fbdcd4;--l0:#0068ad;--l1:#c4500a;--s0:#dbe9f5;--s1:#eef1f4;"
	"--c0:#0072b2;--c1:#56b4e9;--c2:#e69f00;--c3:#d55e00;--c4:#009e73;--c5:#cc79a7;--c6:#a3abb5;--c7:#6b7480}\n"
	"@media screen and (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--soft:#aab3bd;--rule:#3b424a;--card:#1d2126;"
	"--ours:#4ba3e3;--native:#7d8792;--dot:#14171a;--bad:#ff9a8f;--good:#7fd6a0;--mark:#aab3bd;--shade:#4a2a26;--l0:#62b5f0;--l1:#f59a57;"
	"--s0:#24405a;--s1:#2a3037;--c0:#3486c8;--c1:#8fd0f7;--c2:#e6a31c;--c3:#e0672c;--c4:#1fb98d;--c5:#d98fb7;--c6:#8b949e;--c7:#5d6671}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:72rem;background:var(--bg);color:var(--fg);"
	"font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Liberation Sans\",Arial,sans-serif}\n"
	"h1{font-size:1.8rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.35rem;margin:2.6rem 0 .6rem;padding-top:.8rem;"
	"border-top:2px solid var(--rule)}h3{font-size:1.08rem;margin:1.8rem 0 .4rem}\n"
	"h1,h2,h3,p,li,dd,figcaption,summary{overflow-wrap:anywhere}td{overflow-wrap:break-word}\n"
	"p{margin:.5rem 0;max-width:52rem}.lead{font-size:1.08rem}.soft,.unit{color:var(--soft)}.unit{font-weight:400;font-size:.85em}\n"
	".scroll{overflow-x:auto;margin:.6rem 0}\n"
	"table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;width:100%}\n"
	"th,td{padding:.32rem .7rem .32rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}\n"
	"thead th{vertical-align:bottom;border-bottom:2px solid var(--rule);line-height:1.25}th.n,td.n{text-align:right}"
	"td.n,td span{white-space:nowrap}\n"
	"tr.ours>*{background:var(--card)}tr.ours th{color:var(--ours)}td small{display:block;color:var(--soft)}\n"
	".bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}\n"
	"dl{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.25rem 1rem;margin:.6rem 0;font-size:.95rem}dt{color:var(--soft)}"
	"dd{margin:0}\n"
	"@media screen and (max-width:40rem){table{font-size:.8rem}th,td{padding-right:.45rem}dl{grid-template-columns:1fr;gap:0}"
	"dd{margin:0 0 .4rem}figure.timeline>svg{min-width:40rem}.fit td,.fit tbody th{overflow-wrap:anywhere}.fit tbody th{min-width:4.5rem}.fit td.n{white-space:normal}}\n"
	".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1rem 1.5rem;align-items:start}\n"
	"figure{margin:1rem 0;padding:.8rem .9rem .5rem;background:var(--card);border:1px solid var(--rule);border-radius:6px;break-inside:avoid}\n"
	".charts figure{margin:0}.column{display:grid;gap:1rem}figcaption{font-weight:600;margin-bottom:.4rem}\n"
	"figure>svg{display:block;width:100%;height:auto}figure.timeline{overflow-x:auto}\n"
	".charts figure>svg{max-width:33rem}\n"
	"svg text{font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,\"Liberation Sans\",Arial,sans-serif;fill:var(--fg);"
	"paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}\n"
	"svg .tick,svg .axis{fill:var(--soft)}svg .tick,svg .value,svg .event{font-size:11px}svg .name{font-weight:600}\n"
	".grid{stroke:var(--rule);stroke-width:1;fill:none}.whisker{stroke:var(--fg);stroke-width:1.4;fill:none}\n"
	".dot{fill:var(--dot);stroke:var(--fg);stroke-width:1.2}.ours-bar{fill:var(--ours)}.native-bar{fill:var(--native)}\n"
	".line{fill:none;stroke-width:1.6;stroke-linejoin:round;stroke-linecap:round}.l0{stroke:var(--l0)}"
	".l1{stroke:var(--l1);stroke-dasharray:5 3}.p0{fill:var(--l0)}.p1{fill:var(--l1)}\n"
	".limit{stroke:var(--fg);stroke-dasharray:2 4;fill:none}.mark{stroke:var(--mark);stroke-width:1;fill:none}\n"
	".shade{fill:var(--shade)}.span0{fill:var(--s0)}.span1{fill:var(--s1)}\n"
	".c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}"
	".c7{fill:var(--c7)}rect[class^=\"c\"]{stroke:var(--card);stroke-width:1}\n"
	".legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:.86rem;margin:.2rem 0 .5rem}.legend svg{width:.75rem;height:.75rem}\n"
	"details{margin:.6rem 0}summary{cursor:pointer;padding:.25rem 0;font-weight:600}summary:focus-visible{outline:2px solid var(--ours)}\n"
	"footer{margin-top:3rem;padding-top:.8rem;border-top:1px solid var(--rule);color:var(--soft);font-size:.9rem}\n"
	"@media print{body{max-width:none;padding:0;font-size:10.5pt}h2,h3,summary,.soft,.before-list{break-after:avoid}tr,dt,dd{break-inside:avoid}"
	"figure{break-inside:avoid}.scroll{overflow:visible}table{font-size:8.5pt}th,td{padding-right:.35rem}details.more{display:none}"
	"details::details-content{content-visibility:visible;display:block}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
	".charts{grid-template-columns:1fr 1fr}}\n"
	"@page{margin:10mm}\n";

void page_begin(FILE *f, const char *title)
{
	fputs("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	      "<meta name=\"generator\" content=\"vmferry " VMFERRY_VERSION "\"/>\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n<title>",
	      f);
	html_text(f, title);
	fprintf(f, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

void page_end(FILE *f, const char *input)
{
	char date[SHOW_MAX];

	fputs("<footer>Made by vmferry report " VMFERRY_VERSION " of ", f);
	html_text_n(f, input, 200);
	fprintf(f, " on %s. The file is complete in itself: it loads nothing and runs nothing.</footer>\n</body>\n</html>\n",
		show_date(date, (double)time(NULL)));
}

void page_details_begin(FILE *f, const char *summary)
{
	fprintf(f, "<details><summary>%s</summary>\n", summary);
}

void page_details_end(FILE *f)
{
	fputs("</details>\n", f);
}

/* "memory_bytes" is "memory": the value has its unit. */
static void put_key(FILE *f, const char *key)
{
	static const char *const units[] = {"_bytes", "_ms", "_mib", "_at", "_s"};
	size_t n = strlen(key), i, k;
	AUTO_FREE char *copy = xstrdup(key);

	for (i = 0; i < ARRAY_LEN(units); i++) {
		k = strlen(units[i]);
		if (n > k && !strcmp(copy + n - k, units[i])) {
			copy[n - k] = '\0';
			break;
		}
	}
	for (i = 0; copy[i]; i++)
		copy[i] = copy[i] == '_' ? ' ' : copy[i];
	html_text_n(f, copy, 60);
}

void page_members(FILE *f, const char *caption, const json_t *o)
{
	size_t shown = 0;
	const char *key;
	json_t *v;

	if (!json_object_size(o))
		return;
	fprintf(f, "<h3>%s</h3>\n<dl>\n", caption);
	json_object_foreach((json_t *)o, key, v) {
		if (shown++ == ROWS_MAX)
			break;
		fputs("<dt>", f);
		put_key(f, key);
		fputs("</dt><dd>", f);
		html_any(f, key, v);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n", f);
}
