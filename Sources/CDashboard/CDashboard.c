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
static const unsigned char actions_js[] = {
#embed "page/actions.js"
};
static const unsigned char api_js[] = {
#embed "page/api.js"
};
static const unsigned char charts_js[] = {
#embed "page/charts.js"
};
static const unsigned char dead_js[] = {
#embed "page/dead.js"
};
static const unsigned char dom_js[] = {
#embed "page/dom.js"
};
static const unsigned char edit_js[] = {
#embed "page/edit.js"
};
static const unsigned char format_js[] = {
#embed "page/format.js"
};
static const unsigned char health_js[] = {
#embed "page/health.js"
};
static const unsigned char icons_js[] = {
#embed "page/icons.js"
};
static const unsigned char job_js[] = {
#embed "page/job.js"
};
static const unsigned char jobs_js[] = {
#embed "page/jobs.js"
};
static const unsigned char json_js[] = {
#embed "page/json.js"
};
static const unsigned char keys_js[] = {
#embed "page/keys.js"
};
static const unsigned char life_js[] = {
#embed "page/life.js"
};
static const unsigned char live_js[] = {
#embed "page/live.js"
};
static const unsigned char log_js[] = {
#embed "page/log.js"
};
static const unsigned char login_js[] = {
#embed "page/login.js"
};
static const unsigned char main_js[] = {
#embed "page/main.js"
};
static const unsigned char overview_js[] = {
#embed "page/overview.js"
};
static const unsigned char route_js[] = {
#embed "page/route.js"
};
static const unsigned char schedules_js[] = {
#embed "page/schedules.js"
};
static const unsigned char submit_js[] = {
#embed "page/submit.js"
};
static const unsigned char system_js[] = {
#embed "page/system.js"
};
static const unsigned char types_js[] = {
#embed "page/types.js"
};
static const unsigned char ui_js[] = {
#embed "page/ui.js"
};

#define FILE_OF(path, type, bytes) {path, type, bytes, sizeof bytes}
#define SCRIPT(path, bytes) FILE_OF(path, "text/javascript; charset=utf-8", bytes)

static const struct dashboard_file files[] = {
    FILE_OF("/", "text/html; charset=utf-8", index_html),
    FILE_OF("/assets/style.css", "text/css; charset=utf-8", style_css),
    SCRIPT("/assets/actions.js", actions_js),
    SCRIPT("/assets/api.js", api_js),
    SCRIPT("/assets/charts.js", charts_js),
    SCRIPT("/assets/dead.js", dead_js),
    SCRIPT("/assets/dom.js", dom_js),
    SCRIPT("/assets/edit.js", edit_js),
    SCRIPT("/assets/format.js", format_js),
    SCRIPT("/assets/health.js", health_js),
    SCRIPT("/assets/icons.js", icons_js),
    SCRIPT("/assets/job.js", job_js),
    SCRIPT("/assets/jobs.js", jobs_js),
    SCRIPT("/assets/json.js", json_js),
    SCRIPT("/assets/keys.js", keys_js),
    SCRIPT("/assets/life.js", life_js),
    SCRIPT("/assets/live.js", live_js),
    SCRIPT("/assets/log.js", log_js),
    SCRIPT("/assets/login.js", login_js),
    SCRIPT("/assets/main.js", main_js),
    SCRIPT("/assets/overview.js", overview_js),
    SCRIPT("/assets/route.js", route_js),
    SCRIPT("/assets/schedules.js", schedules_js),
    SCRIPT("/assets/submit.js", submit_js),
    SCRIPT("/assets/system.js", system_js),
    SCRIPT("/assets/types.js", types_js),
    SCRIPT("/assets/ui.js", ui_js),
};
const size_t dashboard_file_count = sizeof files / sizeof *files;

struct dashboard_file dashboard_files(size_t index) { return files[index]; }
