/// Keywords for arrays and objects.
extension Check {
  mutating func array(
    _ read: ReadSchema, _ elements: Instance.Elements, _ value: Instance, _ reporting: Bool
  ) -> Bool {
    let values = elements.values
    var fits = true
    if let least = read.rules.minItems, values.count < least {
      fits = fail("expected at least \(Check.counted(least, "element")), found \(values.count)", reporting)
    }
    if let most = read.rules.maxItems, values.count > most {
      fits = fail("expected at most \(Check.counted(most, "element")), found \(values.count)", reporting)
    }
    if read.rules.uniqueItems, fits || reporting { fits = unique(elements, reporting) && fits }
    if read.rules.contains != nil, fits || reporting { fits = contains(read, values, reporting) && fits }
    for (index, element) in values.enumerated() {
      guard fits || reporting, !isOver else { break }
      let prefix = read.rules.prefixItems
      guard let schema = index < prefix.count ? prefix[index] : read.rules.items else { break }
      fits = inside(Text(String(index)), schema, element, reporting) && fits
    }
    return fits
  }

  private mutating func unique(_ elements: Instance.Elements, _ reporting: Bool) -> Bool {
    guard elements.values.count > 1, spend(8 * elements.weight) else { return elements.values.count <= 1 }
    var seen: [Instance: Int] = Dictionary(minimumCapacity: elements.values.count)
    for (index, value) in elements.values.enumerated() {
      if let before = seen.updateValue(index, forKey: value) {
        return fail("expected elements that differ, found the same at \(before) and \(index)", reporting)
      }
    }
    return true
  }

  private mutating func contains(_ read: ReadSchema, _ values: [Instance], _ reporting: Bool) -> Bool {
    guard let schema = read.rules.contains else { return true }
    let least = read.rules.minContains ?? 1
    var count = 0
    for value in values {
      if apply(schema, value, reporting: false) { count += 1 }
      if isOver || (read.rules.maxContains == nil && count >= least) { break }
    }
    if count < least {
      return fail(
        "expected at least \(Check.counted(least, "element")) that fit \"contains\", found \(count)", reporting)
    }
    if let most = read.rules.maxContains, count > most {
      return fail("expected at most \(Check.counted(most, "element")) that fit \"contains\", found \(count)", reporting)
    }
    return true
  }

  mutating func object(
    _ read: ReadSchema, _ members: Instance.Members, _ value: Instance, _ reporting: Bool
  ) -> Bool {
    var fits = keys(read, members, reporting)
    for member in members.list {
      guard fits || reporting, !isOver else { return false }
      fits = self.member(read, member, reporting) && fits
    }
    for (name, schema) in read.rules.dependentSchemas where members[name] != nil && (fits || reporting) {
      fits = apply(schema, value, reporting: reporting) && fits
    }
    return fits
  }

  /// Which keys there are, and how many.
  private mutating func keys(_ read: ReadSchema, _ members: Instance.Members, _ reporting: Bool) -> Bool {
    var fits = true
    let count = members.list.count
    if let least = read.rules.minProperties, count < least {
      fits = fail("expected at least \(Check.counted(least, "key")), found \(count)", reporting)
    }
    if let most = read.rules.maxProperties, count > most {
      fits = fail("expected at most \(Check.counted(most, "key")), found \(count)", reporting)
    }
    guard spend(read.rules.required.count + read.rules.dependentRequired.count) else { return false }
    for name in read.rules.required where members[name] == nil {
      fits = fail("expected the key \(Check.quoted(name)), which is missing", reporting)
    }
    for (name, needs) in read.rules.dependentRequired where members[name] != nil {
      guard spend(needs.count) else { return false }
      for need in needs where members[need] == nil {
        fits = fail(
          "expected the key \(Check.quoted(need)) beside \(Check.quoted(name)), which is missing", reporting)
      }
    }
    return fits
  }

  private mutating func member(_ read: ReadSchema, _ member: Instance.Members.Member, _ reporting: Bool) -> Bool {
    var fits = true
    if let schema = read.rules.propertyNames, !apply(schema, .string(member.name), reporting: false) {
      path.append(member.name)
      fits = fail("the key \(Check.quoted(member.name)) does not fit \"propertyNames\"", reporting)
      path.removeLast()
    }
    var isKnown = false
    if let schema = read.rules.properties[member.name] {
      isKnown = true
      fits = inside(member.name, schema, member.value, reporting) && fits
    }
    for (pattern, schema) in read.rules.patternProperties where matches(pattern, member.name) {
      isKnown = true
      fits = inside(member.name, schema, member.value, reporting) && fits
    }
    guard !isKnown, let schema = read.rules.additionalProperties else { return fits }
    if schemas[schema].rules.verdict == false {
      path.append(member.name)
      defer { path.removeLast() }
      return fail("the key \(Check.quoted(member.name)) is not allowed here", reporting)
    }
    return inside(member.name, schema, member.value, reporting) && fits
  }

  /// Goes one step into the value.
  private mutating func inside(_ step: Text, _ schema: Int, _ value: Instance, _ reporting: Bool) -> Bool {
    path.append(step)
    defer { path.removeLast() }
    return apply(schema, value, reporting: reporting)
  }

  static func quoted(_ name: Text) -> String { Instance.string(name).shown }
}
