/// The signature of webhooks against the example of the specification, names of entries, and who may submit.
import Glibc
import JobModel
import SpoolStore
import Testing

@Suite("Webhooks and accounts")
struct WebhookTests {
  @Test("the signature is the one of the example of Standard Webhooks' libraries")
  func signature() {
    let signature = Digest.webhookSignature(
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: Array("{\"test\": 2432232314}".utf8),
      secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    #expect(Digest.webhookSignature(id: "m", timestamp: 1, body: [], secret: "whsec_?") == nil)
  }

  private func entry(_ change: (inout NoticeSettings) -> Void) -> NoticeSettings {
    var entry = NoticeSettings()
    change(&entry)
    return entry
  }

  @Test("an entry's key names its host or program, tells no address, and changes with it")
  func keys() {
    let slack = entry { $0.webhook = "https://user:pw@hooks.slack.com:443/services/T0/B0/XXXX" }
    #expect(slack.key.hasPrefix("hooks.slack.com-") && !slack.key.contains("XXXX") && !slack.key.contains("pw"))
    #expect(slack.key == entry { ($0.webhook, $0.on) = (slack.webhook, ["dead"]) }.key)
    #expect(slack.key != entry { $0.webhook = "https://hooks.slack.com/services/T0/B0/YYYY" }.key)
    #expect(slack.key != entry { ($0.webhook, $0.format) = (slack.webhook, .slack) }.key)
    #expect(entry { $0.command = ["/usr/sbin/mail to", "a"] }.key.hasPrefix("mail-to-"))
  }

  @Test("allow names users and groups; root and the daemon's user always may; an empty one lets everybody")
  func allow() throws {
    let nobody = try #require(getpwnam("nobody")?.pointee)
    let group = String(cString: try #require(getgrgid(nobody.pw_gid)).pointee.gr_name)
    func may(_ uid: UInt32, _ allow: [String]) -> Bool {
      var accounts = Accounts(daemonUID: 4711)
      return accounts.maySubmit(uid, allow)
    }
    #expect(may(nobody.pw_uid, []))
    #expect(may(nobody.pw_uid, ["root", "nobody"]))
    #expect(may(nobody.pw_uid, ["@\(group)"]))
    #expect(may(nobody.pw_uid, ["\(nobody.pw_uid)"]))
    for refused in [["root"], ["@root"], ["@no-such-group"], ["@nobody-at-all", "no-such-user"]] {
      #expect(!may(nobody.pw_uid, refused), "\(refused)")
      #expect(may(0, refused) && may(4711, refused))
    }
    // A user the system does not know has no name and no group.
    #expect(!may(3_999_999_999, ["root", "@root", "@\(group)"]))
  }
}
