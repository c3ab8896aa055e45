/** Each checker is shown a world that is right, and one in which its invariant is broken. */
import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import { ballotText } from '../../../src/domain/ballot.ts';
import type { BodyId, ClusterId, NodeId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import type { ObjectKey, Position } from '../../../src/domain/ring-position.ts';
import { objectKey } from '../../../src/ring/hasher.ts';
import { checkAcknowledged } from '../../../src/sim/checkers/acknowledged.ts';
import { checkLeftovers } from '../../../src/sim/checkers/leftovers.ts';
import { RegisterChecker, type CheckedStore } from '../../../src/sim/checkers/registers.ts';
import { checkReplicaSets } from '../../../src/sim/checkers/replica-sets.ts';
import { LayoutChecker } from '../../../src/sim/checkers/layouts.ts';
import type { RegisterHead } from '../../../src/storage/register-store.ts';

const KEY_BITS = 48;
const node = (n: number): NodeId => String(n).padStart(32, '0') as NodeId;
const ballot = (hlc: number, epoch = 1): Ballot => ({ epoch, hlc, nodeId: node(1) });
const BODY = 'b'.repeat(32) as BodyId;
const KEY: ObjectKey = objectKey('file', KEY_BITS);

function layoutOf(change: Partial<Layout> = {}): Layout {
  const members = [1, 2, 3].map((n) => ({ nodeId: node(n), name: `node:${n}`, advertise: '', tokens: [n as Position], zone: '', weight: 1, state: 'member' as const }));
  const ids = members.map(({ nodeId }) => nodeId);
  return {
    clusterId: 'c'.repeat(32) as ClusterId, epoch: 1, keyBits: KEY_BITS, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1, members, voters: ids, phase: 'stable',
    arcs: [{ end: 0 as Position, old: ids, new: ids, since: new Map() }], lost: [], recoveries: [], ...change,
  } as unknown as Layout;
}

const headOf = (promised: Ballot, accepted: Ballot, bodyId: BodyId | null = BODY): RegisterHead =>
  ({ promised, accepted, kind: accepted === ZERO_BALLOT ? 'none' : 'object', bodyId, size: 1, recordAt: null });

function storeOf(head: RegisterHead | null, floor = ZERO_BALLOT): CheckedStore {
  return {
    scan: () => ({ entries: head === null ? [] : [{ key: KEY, ...head }], isLast: true }),
    head: () => head, floor: () => floor, flushed: () => Promise.resolve(),
  };
}

async function afterLooks(...looks: readonly (readonly [layout: Layout, nodeNumber: number, store: CheckedStore])[]): Promise<string> {
  const wrong: string[] = [];
  const checker = new RegisterChecker((violation) => wrong.push(violation));
  for (const [layout, n, store] of looks) {
    checker.observe(`node:${n}`, node(n), layout, store);
    await Promise.resolve();
  }
  return wrong.join('; ');
}

describe('the checker of registers', () => {
  const stable = layoutOf();
  const before = [stable, 1, storeOf(headOf(ballot(5), ballot(5)))] as const;

  test('finds nothing wrong with ballots that grow, with an erased tombstone, or with what a newer layout discards', async () => {
    expect(await afterLooks(before, [stable, 1, storeOf(headOf(ballot(9), ballot(5)))], [stable, 1, storeOf(headOf(ballot(9), ballot(9)))])).toBe('');
    expect(await afterLooks(before, [stable, 1, storeOf(null, ballot(5))])).toBe('');
    expect(await afterLooks(before, [layoutOf({ epoch: 2 }), 1, storeOf(null)])).toBe('');
  });

  test('finds a promise and an accepted value that go back (I8)', async () => {
    expect(await afterLooks(before, [stable, 1, storeOf(headOf(ballot(4), ballot(4)))])).toMatch(/went back/);
    expect(await afterLooks(before, [stable, 1, storeOf(headOf(ballot(5), ballot(3)))])).toMatch(/went back/);
    expect(await afterLooks(before, [stable, 1, storeOf(null)])).toMatch(/went back .* to nothing/);
  });

  test('does not count on what was not durable when it looked', async () => {
    const never = { ...storeOf(headOf(ballot(5), ballot(5))), flushed: () => new Promise<void>(() => {}) };
    expect(await afterLooks([stable, 1, never], [stable, 1, storeOf(null)])).toBe('');
  });

  test('finds two values under one ballot (I9)', async () => {
    const other = storeOf(headOf(ballot(5), ballot(5), 'd'.repeat(32) as BodyId));
    expect(await afterLooks(before, [stable, 2, storeOf(headOf(ballot(5), ballot(5)))])).toBe('');
    expect(await afterLooks(before, [stable, 2, other])).toMatch(/under one ballot/);
  });

  test('finds a ballot of an epoch that the node has not reached (I11)', async () => {
    expect(await afterLooks([stable, 1, storeOf(headOf(ballot(5, 2), ballot(5)))])).toMatch(/in epoch 1 holds the ballot 2-/);
  });
});

describe('the checker of acknowledged writes (I14)', () => {
  const version = ballotText(ballot(5));
  const holding = (n: number, accepted: Ballot, hasBody = true): Parameters<typeof checkAcknowledged>[3][number] =>
    ({ nodeId: node(n), store: { head: () => headOf(accepted, accepted), holdsBody: () => hasBody, floor: () => ZERO_BALLOT } });
  const check = (...nodes: Parameters<typeof checkAcknowledged>[3][number][]): string | null => checkAcknowledged('file', version, layoutOf(), nodes);

  test('is content with a majority, with newer values, and with nodes that nobody can ask', () => {
    expect(check(holding(1, ballot(5)), holding(2, ballot(9)), holding(3, ballot(1)))).toBeNull();
    expect(check(holding(1, ballot(5)), holding(3, ballot(1)))).toBeNull();
  });

  test('finds a write on too few replicas, and one without its body', () => {
    expect(check(holding(1, ballot(5)), holding(2, ballot(1)), holding(3, ballot(1)))).toMatch(/2 of its 3 replicas don't hold/);
    expect(check(holding(1, ballot(5)), holding(2, ballot(5), false), holding(3, ballot(5), false))).toMatch(/2 of its 3/);
  });
});

describe('the checker of leftovers (I20)', () => {
  const store = storeOf(headOf(ballot(5), ballot(5)));

  test('finds staged files and bodies that no record names, and nothing else', () => {
    expect(checkLeftovers('node:1', [`/data/node_1/bodies/bb/bb/${BODY}`, '/data/node_1/log/000001.seg'], store)).toEqual([]);
    expect(checkLeftovers('node:1', [`/data/node_1/staging/${BODY}`], store)).toEqual([expect.stringContaining('still has the staged')]);
    expect(checkLeftovers('node:1', [`/data/node_1/bodies/ee/ee/${'e'.repeat(32)}`], store)).toEqual([expect.stringContaining('no record names')]);
  });
});

describe('the checkers of layouts', () => {
  const [arc] = layoutOf().arcs;

  test('find an arc with one node twice, with a stranger, or with too few (I3)', () => {
    const withSet = (ids: readonly NodeId[]): Layout => layoutOf({ arcs: arc === undefined ? [] : [{ ...arc, old: ids, new: ids }] });
    expect(checkReplicaSets(layoutOf())).toEqual([]);
    expect(checkReplicaSets(withSet([node(1), node(1), node(2)]))).toEqual([expect.stringContaining('one node twice')]);
    expect(checkReplicaSets(withSet([node(1), node(2), node(9)]))).toEqual([expect.stringContaining('no member')]);
    expect(checkReplicaSets(withSet([node(1), node(2)]))).toEqual([expect.stringContaining('2 replicas instead of 3')]);
  });

  test('find two layouts of one epoch and an epoch that goes back (I1), and two clusters (I2)', () => {
    const wrong: string[] = [];
    const checker = new LayoutChecker((violation) => wrong.push(violation));
    checker.observe('a', 'one', 2, () => 'x');
    checker.observe('b', 'one', 2, () => 'x');
    expect(wrong).toEqual([]);
    checker.observe('c', 'one', 2, () => 'y');
    checker.observe('a', 'one', 1, () => 'w');
    checker.observe('d', 'two', 5, () => 'z');
    expect(wrong.map((text) => text.replace(/ of epoch.*| from epoch.*|:.*/, ''))).toEqual(['two layouts', 'node a went back', 'two clusters were founded']);
  });
});
