import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { behindPrefix, compareNames } from '../../../src/domain/name-order.ts';

const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.array(fc.constantFrom('a', 'b', '/', '\x7f', '\x80', '\u07ff', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'), { maxLength: 5 }).map((parts) => parts.join('')),
);

describe('the order of names', () => {
  test('is that of their UTF-8 bytes', () => {
    fc.assert(fc.property(name, name, (a, b) => Math.sign(compareNames(a, b)) === Buffer.compare(Buffer.from(a), Buffer.from(b))));
  });

  test('has the surrogates of large characters behind all other units', () => {
    expect(compareNames('\uffff', '\u{10000}')).toBeLessThan(0);
    expect('\uffff' < '\u{10000}').toBe(false);
  });

  test('behind a prefix is the first text above every name with it', () => {
    fc.assert(fc.property(name, name, name, (prefix, rest, other) => {
      const next = behindPrefix(prefix);
      if (next === null) return /^\u{10ffff}*$/u.test(prefix);
      const isBelow = compareNames(prefix + rest, next) < 0;
      const isTight = compareNames(other, prefix) < 0 || other.startsWith(prefix) || compareNames(other, next) >= 0;
      return isBelow && isTight && next.isWellFormed() && Buffer.byteLength(next) <= Buffer.byteLength(prefix) + 1;
    }));
  });
});
