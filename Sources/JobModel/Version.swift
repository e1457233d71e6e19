/// The version of all programs of this package.
package let jobspoolVersion = "0.1.0"
