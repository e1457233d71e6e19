/// What those who asked through `ctl/` are told, and what the log says of those who may not ask.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  func deny(_ name: String, _ who: String, _ what: String) {
    refuse(name, who, "may not \(what)")
    answer(name, refusal: SpoolError(.denied, "\(who) may not \(what)"), code: SpoolError.Code.denied.name)
  }

  func refuse(_ name: String, _ who: String, _ why: String) {
    logger.warning("ctl/\(name) by \(who) refused: \(why)")
    do throws(SpoolError) {
      try transitions.audit.append(.refused, at: effects.now(), by: who) { writer in
        writer.key("file")
        writer.string(name)
        writer.key("reason")
        writer.string(why)
      }
    } catch {
      troubled(error)
    }
  }

  /// Refuses what is no request and takes it away, or it would be refused again with every look.
  func discard(_ name: String, _ who: String, _ why: String) {
    refuse(name, who, why)
    removeControl(name)
  }

  func answer(_ name: String, refusal: SpoolError, code: String) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("ok")
    writer.bool(false)
    writer.key("code")
    writer.string(code)
    writer.key("message")
    writer.string(refusal.description)
    writer.endObject()
    reply(name, writer.bytes)
  }

  func answer(_ request: ControlRequest) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("ok")
    writer.bool(true)
    writer.key("results")
    writer.beginArray()
    for (index, (id, result)) in request.results.enumerated() {
      writer.beginObject()
      writer.key("job")
      writer.string(id)
      if index < request.schedules.count {
        writer.key("schedule")
        writer.string(request.schedules[index])
      }
      writer.key("ok")
      switch result {
      case .success(let state):
        writer.bool(true)
        if let state {
          writer.key("state")
          writer.string(state.rawValue)
        }
      case .failure(let error):
        writer.bool(false)
        writer.key("code")
        writer.string(error.code.name)
        writer.key("message")
        writer.string(error.description)
      }
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    reply(request.name, writer.bytes)
  }

  /// The answer appears whole, and after the request is gone: whoever has read it may ask again under the same name.
  private func reply(_ name: String, _ bytes: [UInt8]) {
    let ctl = spool.descriptor(Spool.Folder.ctl)
    let stem = name.dropLast(5)
    do throws(Errno) {
      // Whoever may ask may also put a pipe there, which would hold the daemon.
      do throws(Errno) { try spool.syscalls.unlink(ctl, ".\(stem).reply") } catch {
        guard error == .noEntry else { throw error }
      }
      let fd = try spool.syscalls.open(
        ctl, ".\(stem).reply", flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o640)
      defer { spool.syscalls.close(fd) }
      try spool.syscalls.write(fd, bytes + [0x0A], offset: 0)
      try spool.syscalls.share(fd, with: try? spool.syscalls.status(ctl, name).uid)
      removeControl(name)
      try spool.syscalls.rename(ctl, ".\(stem).reply", to: ctl, "\(stem).reply", replacing: true)
    } catch {
      logger.warning("cannot answer ctl/\(name): \(error.message)")
      removeControl(name)
    }
  }

  func removeControl(_ name: String) {
    do throws(Errno) { try spool.syscalls.unlink(spool.descriptor(Spool.Folder.ctl), name) } catch {
      guard error != .noEntry else { return }
      // It cannot be taken away; at least it is not carried out again and again.
      answered.insert(name)
      logger.warning("cannot remove ctl/\(name): \(error.message)")
    }
  }
}
