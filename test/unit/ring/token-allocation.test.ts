import { describe, expect, test } from '@jest/globals';
import { layoutOf, randomIdOf, without } from './ring-fixture.ts';
import type { LayoutMember } from '../../../src/domain/layout.ts';
import { parseAddress, type NodeAddress } from '../../../src/domain/node-address.ts';
import { nodeKey } from '../../../src/ring/hasher.ts';
import { shares } from '../../../src/ring/shares.ts';
import { allocateTokens, type TokenAllocationOptions } from '../../../src/ring/token-allocation.ts';

const DEFAULTS: TokenAllocationOptions = { keyBits: 48, replicas: 3, tokensPerNode: 16, candidatesPerToken: 8 };

interface Wish {
  readonly name: string;
  readonly weight?: number;
  readonly zone?: string;
}

function grow(wishes: readonly Wish[], options = DEFAULTS): LayoutMember[] {
  const members: LayoutMember[] = [];
  for (const { name, weight = 1, zone = '' } of wishes) {
    const joiner = { nodeId: randomIdOf(name), name, advertise: name, zone, weight };
    members.push({ ...joiner, tokens: allocateTokens(joiner, members, options), state: 'member' });
  }
  return members;
}

/** Highest stored share of a member, all copies counted, divided by what its weight makes fair. */
function worstShare(members: readonly LayoutMember[]): number {
  const weightSum = members.reduce((sum, member) => sum + member.weight, 0);
  const copies = Math.min(3, members.length);
  const parts = shares(layoutOf(members, { keyBits: 48 }));
  return Math.max(...members.map((member) => ((parts.get(member.nodeId)?.heldShare ?? 0) * weightSum) / (copies * member.weight)));
}

const names = (count: number, name: (i: number) => string): Wish[] => Array.from({ length: count }, (_, i) => ({ name: name(i) }));

const NAME_SETS: readonly (readonly [string, (i: number) => string])[] = [
  ['ports of one machine', (i) => `localhost:${7400 + i}`],
  ['pods of a stateful set', (i) => `dht-${i}.dht.default.svc.cluster.local:7400`],
  ['addresses', (i) => `10.0.0.${i + 1}:7000`],
  ['host names', (i) => `host${(i * 7919) % 1000}:9000`],
];

describe('token allocation', () => {
  test.each(NAME_SETS)('no member stores more than 1.10 times the mean in rings grown one at a time to 30: %s', (_label, name) => {
    const members = grow(names(30, name));
    for (let count = 4; count <= 30; count++) expect(worstShare(members.slice(0, count))).toBeLessThanOrEqual(1.1);
  });

  test('follows the weights', () => {
    const members = grow([...names(8, (i) => `n${i}:1`), { name: 'big:1', weight: 2 }, { name: 'small:1', weight: 0.5 }]);
    expect(worstShare(members)).toBeLessThanOrEqual(1.15);
  });

  test('balances the real lists, in which zones are distinct', () => {
    const members = grow(Array.from({ length: 9 }, (_, i) => ({ name: `n${i}:1`, zone: `z${i % 3}` })));
    expect(worstShare(members)).toBeLessThanOrEqual(1.1);
  });

  test('token 0 is the key, and all tokens are different', () => {
    const members = grow(names(10, (i) => `localhost:${7400 + i}`));
    for (const member of members) expect(member.tokens[0]).toBe(nodeKey(parseAddress(member.name) as NodeAddress, 48));
    const tokens = members.flatMap((member) => member.tokens);
    expect(tokens).toHaveLength(160);
    expect(new Set(tokens).size).toBe(160);
  });

  test('one token is the seed\'s ring', () => {
    const [a, b] = grow(names(2, (i) => `localhost:${5000 + i}`), { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 });
    expect(a?.tokens).toEqual([nodeKey({ host: 'localhost', port: 5000 }, 16)]);
    expect(b?.tokens).toEqual([nodeKey({ host: 'localhost', port: 5001 }, 16)]);
  });

  test('depends on the joiner and those present alone, not on the order in which they are listed', () => {
    const members = grow(names(6, (i) => `n${i}:1`));
    const joiner = { nodeId: randomIdOf('x:1'), name: 'x:1', zone: '', weight: 1 };
    expect(allocateTokens(joiner, [...members].reverse(), DEFAULTS)).toEqual(allocateTokens(joiner, members, DEFAULTS));
  });

  test('a ring with too few positions gives fewer tokens, all of the further ones free', () => {
    const members = grow(names(30, (i) => `n${i}:1`), { ...DEFAULTS, keyBits: 8 });
    const keys = members.map((member) => member.tokens[0]);
    const further = members.flatMap((member) => member.tokens.slice(1));
    expect(new Set(further).size).toBe(further.length);
    expect(further.length).toBeLessThan(30 * 15);
    for (const member of members) {
      // Chosen free of what was there; a later node's key may still meet it.
      const earlierKeys = keys.slice(0, members.indexOf(member) + 1);
      expect(without([...member.tokens], keys[members.indexOf(member)]).some((token) => earlierKeys.includes(token))).toBe(false);
    }
  });
});
