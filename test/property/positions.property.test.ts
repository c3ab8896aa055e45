/**
 * Arithmetic on rings of every size, M from 8 to 48, against big integers; and the allocation of tokens: what it may depend
 * on, and how evenly it spreads whatever the names.
 */
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LayoutMember } from '../../src/domain/layout.ts';
import { clockwiseDistance, isInArc, KEY_BITS_MAX, KEY_BITS_MIN, positionOfKey, ringSize } from '../../src/domain/ring-position.ts';
import { hasher, nodeKey, objectKey } from '../../src/ring/hasher.ts';
import { preferenceList } from '../../src/ring/preference-list.ts';
import { shares } from '../../src/ring/shares.ts';
import { allocateTokens } from '../../src/ring/token-allocation.ts';
import { tokenRing } from '../../src/ring/token-ring.ts';
import { layoutOf, memberAt, position, randomIdOf } from '../unit/ring/ring-fixture.ts';

const keyBits = fc.integer({ min: KEY_BITS_MIN, max: KEY_BITS_MAX });
/** A ring's M and some of its positions, often the first and last ones and neighbours of each other. */
const ringAnd = (count: number): fc.Arbitrary<{ bits: number; at: number[] }> =>
  keyBits.chain((bits) => {
    const last = ringSize(bits) - 1;
    const one = fc.oneof(fc.nat(last), fc.constantFrom(0, 1, last, last - 1, Math.floor(last / 2)));
    return fc.record({ bits: fc.constant(bits), at: fc.array(one, { minLength: count, maxLength: count }) });
  });

describe('positions', () => {
  test('lie in an arc exactly when they are met on the way from its beginning to its end', () => {
    fc.assert(fc.property(ringAnd(3), ({ bits, at: [x = 0, from = 0, to = 0] }) => {
      const length = from === to ? ringSize(bits) : clockwiseDistance(from, to, bits);
      const way = x === from ? ringSize(bits) : clockwiseDistance(from, x, bits);
      expect(isInArc(x, from, to)).toBe(way <= length);
      if (from !== to) expect(isInArc(x, from, to)).toBe(!isInArc(x, to, from));
    }), { numRuns: 3000 });
  });

  test('are as far apart one way and the other as the ring is long', () => {
    fc.assert(fc.property(ringAnd(2), ({ bits, at: [a = 0, b = 0] }) => {
      const there = BigInt(clockwiseDistance(a, b, bits));
      expect(there).toBe((BigInt(b) - BigInt(a) + (1n << BigInt(bits))) % (1n << BigInt(bits)));
      expect(there + BigInt(clockwiseDistance(b, a, bits))).toBe(a === b ? 0n : 1n << BigInt(bits));
    }), { numRuns: 3000 });
  });

  test('of names are SHA-256 modulo the size of the ring, also inside the key of the object', () => {
    fc.assert(fc.property(keyBits, fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (bits, name) => {
      const digest = createHash('sha256').update(name).digest('hex');
      const wanted = Number(BigInt(`0x${digest}`) % (1n << BigInt(bits)));
      expect(hasher(name, bits)).toBe(wanted);
      expect(positionOfKey(objectKey(name, bits), bits)).toBe(wanted);
      expect(objectKey(name, bits)).toMatch(/^[0-9a-f]{40}$/);
    }), { numRuns: 1000 });
  });

  test('sort as the keys of objects do', () => {
    fc.assert(fc.property(keyBits, fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (bits, a, b) => {
      const difference = hasher(a, bits) - hasher(b, bits);
      if (difference !== 0) expect(objectKey(a, bits) < objectKey(b, bits)).toBe(difference < 0);
    }), { numRuns: 1000 });
  });
});

describe('a preference list', () => {
  test('is the members by the way to their next token, on rings of every size, over zero, with equal tokens and more copies than members', () => {
    fc.assert(fc.property(ringAnd(10), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 9 }), ({ bits, at }, copies, nodes) => {
      const [from = 0, ...tokens] = at;
      const members = Array.from({ length: nodes }, (_, i) => memberAt(`n${i}`, [tokens[i % tokens.length] ?? 0, tokens[(i * 3 + 1) % tokens.length] ?? 0]));
      const way = ({ tokens: own }: LayoutMember): number => Math.min(...own.map((token) => clockwiseDistance(from, token, bits)));
      const naive = [...members].sort((a, b) => way(a) - way(b) || (a.nodeId < b.nodeId ? -1 : 1)).map(({ nodeId }) => nodeId);
      expect(preferenceList(tokenRing(members), position(from), copies)).toEqual(naive.slice(0, Math.min(copies, nodes)));
    }), { numRuns: 2000 });
  });
});

describe('token allocation', () => {
  const addresses = (count: { min: number; max: number }): fc.Arbitrary<string[]> =>
    fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `${host}:${port}`), { minLength: count.min, maxLength: count.max });

  function grow(names: readonly string[], options: { keyBits: number; replicas: number; tokensPerNode: number; candidatesPerToken: number }): LayoutMember[] {
    const members: LayoutMember[] = [];
    for (const name of names) {
      const joiner = { nodeId: randomIdOf(name), name, zone: '', weight: 1 };
      members.push({ ...joiner, advertise: name, tokens: allocateTokens(joiner, members, options), state: 'member' });
    }
    return members;
  }

  test('is the same on every node: it depends on who is there, not on the order in which they are listed', () => {
    fc.assert(fc.property(addresses({ min: 2, max: 7 }), keyBits, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }), (names, bits, tokensPerNode, candidatesPerToken, replicas) => {
      const options = { keyBits: bits, replicas, tokensPerNode, candidatesPerToken };
      const members = grow(names.slice(1), options);
      const joiner = { nodeId: randomIdOf(names[0] ?? ''), name: names[0] ?? '', zone: '', weight: 1 };
      const tokens = allocateTokens(joiner, members, options);
      expect(allocateTokens(joiner, [...members].reverse(), options)).toEqual(tokens);
      const [host = '', port = ''] = (names[0] ?? '').split(':');
      expect(tokens[0]).toBe(nodeKey({ host, port: Number(port) }, bits));
      expect(tokens.length).toBeLessThanOrEqual(tokensPerNode);
      const taken = new Set(members.flatMap((member) => member.tokens));
      for (const token of tokens) expect(token).toBeLessThan(ringSize(bits));
      for (const token of tokens.slice(1)) expect(taken.has(token)).toBe(false);
      expect(new Set(tokens).size).toBe(tokens.length);
    }), { numRuns: 60 });
  });

  test('spreads what is stored evenly whatever the names: nobody holds more than 1.15 times the mean', () => {
    fc.assert(fc.property(addresses({ min: 4, max: 12 }), (names) => {
      const members = grow(names, { keyBits: 48, replicas: 3, tokensPerNode: 16, candidatesPerToken: 8 });
      const held = [...shares(layoutOf(members, { keyBits: 48 })).values()].map(({ heldShare }) => heldShare * names.length / 3);
      expect(Math.max(...held)).toBeLessThanOrEqual(1.15);
    }), { numRuns: 12 });
  });
});
