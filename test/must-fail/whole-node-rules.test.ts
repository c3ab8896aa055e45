/**
 * Whole nodes with one rule switched off: each directed scenario goes wrong without its rule and right with it. So the
 * rule is really wired into the node, and the checkers see what it is for.
 */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import type { Rules } from '../../src/domain/rules.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { hasher, objectKey } from '../../src/ring/hasher.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { KEY_BITS, Scenario, SYNC_MS, TRANSIT_MS } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
/** From the call of a put until its ACCEPT leaves: PREPARE there, synced, and the promise back. */
const ACCEPT_LEAVES_MS = 2 * TRANSIT_MS + SYNC_MS;

type Play = (scenario: Scenario) => Promise<void>;

async function threeNodes(scenario: Scenario): Promise<readonly [SimNode, SimNode, SimNode]> {
  const nodes = await scenario.found(NAMES);
  // Every node has called every other: from now on nobody dials.
  for (const node of nodes) await scenario.put(node, 'something else', 'to warm up');
  const [a, b, c] = nodes;
  return [must(a, 'a'), must(b, 'b'), must(c, 'c')];
}

/** Puts through `a` so that `c` never hears of it and notices nothing; `a` forgets, in a crash, that it owes `c` a hint. */
async function putWithout(scenario: Scenario, name: string, body: string, a: SimNode, c: SimNode): Promise<void> {
  scenario.network.cut(a.name, c.name);
  await scenario.put(a, name, body);
  scenario.network.resetConnections(c.name);
  a.crash();
  scenario.network.heal(a.name, c.name);
  a.start();
  await scenario.until(() => a.program()?.service.view().state === 'serving', () => 'the coordinator is back');
}

/** Acknowledge, then all power fails: what was acknowledged is on the disks. */
const acknowledgedThenPowerFails: Play = async (scenario) => {
  const nodes = await threeNodes(scenario);
  for (const node of nodes) node.slowDisk(100);
  const names = ['one', 'two', 'three', 'four'];
  for (const name of names) {
    await scenario.put(nodes[0], name, `value ${name}`);
    for (const node of nodes) node.crash();
    for (const node of nodes) node.start();
    await scenario.rest();
    await scenario.get(nodes[1], name);
  }
};

/** A value on one replica alone is read, then that replica is cut off: who reads next has to see it too. */
const readThenReadElsewhere: Play = async (scenario) => {
  const [a, b, c] = await threeNodes(scenario);
  await scenario.put(a, 'file', 'first');
  void scenario.put(a, 'file', 'second');
  await scenario.sleep(ACCEPT_LEAVES_MS + TRANSIT_MS / 2);
  scenario.separate(a, b);
  scenario.separate(a, c);
  await scenario.sleep(50);
  a.crash();
  a.start();
  scenario.unite(a, b);
  await scenario.until(() => a.program()?.service.view().state === 'serving', () => 'a serves again');
  scenario.separate(b, c);
  expect(await scenario.get(b, 'file')).toBe('second');
  scenario.separate(a, b);
  scenario.unite(b, c);
  await scenario.get(c, 'file');
};

/** The answers to an ACCEPT are lost, another client writes, and the coordinator tries again. */
const retryAfterLostAnswers: Play = async (scenario) => {
  const [a, b, c] = await threeNodes(scenario);
  const put = scenario.put(a, 'file', 'early');
  await scenario.sleep(ACCEPT_LEAVES_MS + TRANSIT_MS + SYNC_MS + TRANSIT_MS / 2);
  scenario.network.cut(b.name, a.name);
  scenario.network.cut(c.name, a.name);
  expect(await scenario.get(b, 'file')).toBe('early');
  await scenario.put(b, 'file', 'late');
  await scenario.sleep(3000);
  scenario.network.healAll();
  await put;
  await scenario.get(b, 'file');
};

/** A replica without the newest value stays in the set, and the joiner fails before it caught up. */
const joinerFails: Play = async (scenario) => {
  const [a, b, c] = await threeNodes(scenario);
  const joiner = 'node:4';
  const name = nameBetween(NAMES, joiner);
  // Best first; the joiner will stand before them all, and the last will no longer be a replica.
  const [first, second] = scenario.replicasOf(name, a).map((replica) => must([a, b, c].find((node) => node.name === replica), 'a replica'));
  const holder = must(first, 'the first replica');
  const lacking = must(second, 'the second replica');
  await putWithout(scenario, name, 'acknowledged', holder, lacking);
  const d = scenario.add(joiner, NAMES, 1);
  await scenario.until(() => d.program()?.layout()?.phase === 'moving', () => 'the move begins');
  // It still shows that it has the layout, but gets nothing any more.
  for (const node of [a, b, c]) scenario.network.cut(node.name, d.name);
  await scenario.sleep(10 * TRANSIT_MS);
  d.crash();
  scenario.network.healAll();
  await scenario.until(() => scenario.program(holder).layout()?.phase === 'stable', () => 'the move ends');
  scenario.separate(d, holder);
  d.start();
  await scenario.until(() => d.program()?.service.view().state === 'serving', () => 'the joiner serves');
  expect(scenario.replicasOf(name, d)).toEqual([joiner, holder.name, lacking.name]);
  scenario.separate(lacking, holder);
  await scenario.get(lacking, name);
};

/** A node sleeps while its arc goes to another and comes back to it: it may keep nothing of its earlier time there. */
const arcGoesAndComesBack: Play = async (scenario) => {
  const [a, b, c] = await threeNodes(scenario);
  const joiner = 'node:4';
  const name = nameBetween(NAMES, joiner);
  const [first, second, sleeper] = scenario.replicasOf(name, a).map((replica) => must([a, b, c].find((node) => node.name === replica), 'a replica'));
  const x = must(sleeper, 'the last replica');
  const y = must(first, 'the first replica');
  await scenario.put(y, name, 'of long ago');
  x.crash();
  const d = scenario.add(joiner, NAMES, 1);
  const isStable = (members: number) => (): boolean => {
    const layout = y.program()?.layout();
    return layout?.phase === 'stable' && layout.members.length === members;
  };
  await scenario.until(() => isStable(4)() && d.program()?.layout()?.phase === 'stable', () => 'the joiner is in');
  await scenario.program(d).service.leave();
  await scenario.until(isStable(3), () => 'the joiner is out again');
  expect(scenario.replicasOf(name, y)).toEqual([y.name, must(second, 'the second replica').name, x.name]);
  const { epoch } = must(scenario.program(y).layout(), 'a layout');
  x.start();
  await scenario.until(() => x.program()?.layout()?.epoch === epoch, () => 'the sleeper has the newest layout');
  const head = scenario.program(x).store.head(objectKey(name, KEY_BITS));
  if (head !== null && head.kind !== 'none') scenario.sim.fail(`${x.name} kept a record of epoch ${head.accepted.epoch}`);
};

/** A replica that missed a body gets its record by a read's identity round. */
const recordWithoutItsBody: Play = async (scenario) => {
  const [a, b, c] = await threeNodes(scenario);
  await putWithout(scenario, 'file', 'only on two', a, c);
  scenario.separate(a, b);
  expect(await scenario.get(a, 'file')).toBe('only on two');
  await scenario.checkBodies(c);
};

/** The node that takes a leaver's place is cut off: the leaver may not let go of its copies yet. */
const leaverLetsGo: Play = async (scenario) => {
  const nodes = await scenario.found(['node:1', 'node:2', 'node:3', 'node:4']);
  const name = 'file';
  await scenario.put(must(nodes[0], 'a node'), name, 'on three');
  await scenario.rest();
  const replicas = scenario.replicasOf(name, must(nodes[0], 'a node'));
  const leaver = must(nodes.find((node) => node.name === replicas[2]), 'a replica');
  const heir = must(nodes.find((node) => !replicas.includes(node.name)), 'the node without it');
  const other = must(nodes.find((node) => node.name === replicas[0]), 'a replica');
  const lacksIt = (): boolean => scenario.program(heir).store.head(objectKey(name, KEY_BITS))?.kind !== 'object';
  for (const node of nodes) if (node !== heir) scenario.separate(heir, node);
  await scenario.program(leaver).service.leave();
  await scenario.until(() => other.program()?.layout()?.phase === 'stable' && other.program()?.layout()?.members.length === 3, () => 'the move ends');
  await scenario.sleep(3000);
  if (leaver.isGone() && lacksIt()) scenario.sim.fail(`${leaver.name} let go of its copy before ${heir.name} had one`);
  for (const node of nodes) if (node !== heir) scenario.unite(heir, node);
  await scenario.until(() => leaver.isGone() && !lacksIt(), () => 'the leaver is gone and its heir has the copy');
};

/** A node's disk is set back to an old snapshot: it must not vote under the identity whose promises it forgot. */
const oldSnapshotVotes: Play = async (scenario) => {
  const [a, b, c] = await threeNodes(scenario);
  const snapshot = b.disk.takeSnapshot();
  const { nodeId } = scenario.program(b).service.view();
  for (const name of ['one', 'two', 'three']) await scenario.put(b, name, 'since the snapshot');
  // Pings tell the others how far its log has come.
  await scenario.sleep(3000);
  b.restore(snapshot, [a.name, c.name]);
  b.start();
  await scenario.until(() => b.program()?.service.view().state === 'serving', () => 'b serves again');
  if (scenario.program(b).service.view().nodeId === nodeId) scenario.sim.fail(`${b.name} votes under the identity whose votes it forgot`);
};

/** A name that the joiner will own as first: its position is just before the joiner's key. */
function nameBetween(members: readonly string[], joiner: string): string {
  const keyOf = (name: string): number => hasher(name.replace(':', ''), KEY_BITS);
  const keys = members.map(keyOf).sort((x, y) => x - y);
  const end = keyOf(joiner);
  const start = keys.findLast((key) => key < end) ?? must(keys.at(-1), 'a key');
  for (let i = 0; ; i++) {
    const position = hasher(`file ${i}`, KEY_BITS);
    if (start < end ? position > start && position <= end : position > start || position <= end) return `file ${i}`;
  }
}

const CASES: readonly (readonly [title: string, rule: keyof Rules, play: Play, violation: RegExp])[] = [
  ['acknowledge before fsync', 'replyAfterFsync', acknowledgedThenPowerFails, /not linearizable/],
  ['read without write-back', 'readWriteBack', readThenReadElsewhere, /not linearizable/],
  ['a retry that applies again', 'idempotentRetry', retryAfterLostAnswers, /not linearizable/],
  ['only joiners catch up', 'retainedCatchUp', joinerFails, /not linearizable/],
  ['since is ignored', 'sinceDiscard', arcGoesAndComesBack, /kept a record of epoch/],
  ['an ex-owner lets go without receipts', 'releaseNeedsReceipts', leaverLetsGo, /let go of its copy before/],
  ['the log isn\'t confirmed after a boot', 'amnesiaCheck', oldSnapshotVotes, /whose votes it forgot/],
  ['accept without a body', 'acceptNeedsBody', recordWithoutItsBody, /without holding its body/],
];

describe('whole nodes', () => {
  test.each(CASES)('go wrong with this rule dropped, and only then: %s', async (_title, rule, play, violation) => {
    const withRule = new Scenario(ALL_RULES);
    expect(await withRule.run(() => play(withRule))).toEqual([]);
    const without = new Scenario({ ...ALL_RULES, [rule]: false });
    expect((await without.run(() => play(without))).join('\n')).toMatch(violation);
  });
});
