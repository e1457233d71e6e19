/// A report as one page that needs nothing else: no script, nothing fetched, every value escaped. Made for mail and for
/// folders a web server shows.
extension Report {
  package var html: String {
    var page = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <title>\(Report.escaped(title))</title>
      <style>
      body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: #1b1b1b; }
      h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; }
      .scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
      th, td { border-bottom: 1px solid #d8d8d8; padding: .3rem .6rem; text-align: right; white-space: nowrap; }
      th:first-child, td:first-child, .text th, .text td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
      p { color: #555; margin: .3rem 0; }
      @media (prefers-color-scheme: dark) {
        body { background: #16181b; color: #e6e6e6; } th, td { border-color: #3a3d42; } p { color: #a8a8a8; }
      }
      </style>
      </head>
      <body>
      <h1>\(Report.escaped(title))</h1>
      <p>\(Report.escaped(summary))</p>

      """
    for table in tables {
      page += "<h2>\(Report.escaped(table.heading))</h2>\n"
      if !table.rows.isEmpty { page += Report.markup(table) }
      if let remark = table.remark { page += "<p>\(Report.escaped(remark))</p>\n" }
    }
    return page + "</body>\n</html>\n"
  }

  private static func markup(_ table: Table) -> String {
    let isText = table.columns.contains("message")
    var text = "<div class=\"scroll\"><table\(isText ? " class=\"text\"" : "")>\n<thead><tr>"
    for column in table.columns { text += "<th scope=\"col\">\(escaped(column))</th>" }
    text += "</tr></thead>\n<tbody>\n"
    for row in table.rows {
      text += "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>\n"
    }
    return text + "</tbody>\n</table></div>\n"
  }

  /// Text for between tags and inside quoted attributes; characters no page may hold are replaced.
  static func escaped(_ text: String) -> String {
    var safe = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": safe += "&amp;"
      case "<": safe += "&lt;"
      case ">": safe += "&gt;"
      case "\"": safe += "&quot;"
      case "'": safe += "&#39;"
      case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value): safe += "\u{FFFD}"
      case _ where (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value):
        safe += "\u{FFFD}"
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return safe
  }
}
