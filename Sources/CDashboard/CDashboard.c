/*
 * Embeds the files of page/ as they are: the compiler rebuilds this file when one of them changes. To add a file, add its
 * #embed and its line in the table.
 */
#include "CDashboard.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "page/index.html"
};
static const unsigned char style_css[] = {
#embed "page/style.css"
};
static const unsigned char app_js[] = {
#embed "page/app.js"
};

#define FILE_OF(path, type, bytes) {path, type, bytes, sizeof bytes}

static const struct dashboard_file files[] = {
    FILE_OF("/", "text/html; charset=utf-8", index_html),
    FILE_OF("/assets/style.css", "text/css; charset=utf-8", style_css),
    FILE_OF("/assets/app.js", "text/javascript; charset=utf-8", app_js),
};
const size_t dashboard_file_count = sizeof files / sizeof *files;

struct dashboard_file dashboard_files(size_t index) { return files[index]; }
