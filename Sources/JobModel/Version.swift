/// The version of all programs of this build; `--version`, `status.json` and the API say it.
package let jobspoolVersion = "0.1.0"
