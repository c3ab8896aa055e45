/**
 * Assertions that stay in production: a broken invariant ends the process, because a node that goes on with a
 * wrong state can damage data that its peers hold right. Expected outcomes are unions, never assertions.
 * Source: [TigerStyle] "Safety".
 */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (condition !== true) throw new AssertionFailure(message);
}

/** Ends every switch over a `kind`: the compiler proves that no member was forgotten. */
export function assertNever(value: never): never {
  throw new AssertionFailure(`unexpected value ${JSON.stringify(value)}`);
}

/** The value, or an assertion failure that names what was missing. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionFailure(`${what} is missing`);
  return value;
}
