/** A leaver that alone has a record above all who own its arc now: it ends, and nothing that was chosen is lost. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { KEY_BITS, Scenario, SYNC_MS, TRANSIT_MS } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3', 'node:4'];
/** From the call of a put until its ACCEPT has left: PREPARE there, synced, and the promise back; then half a transit. */
const ACCEPT_UNDER_WAY_MS = 2 * TRANSIT_MS + SYNC_MS + TRANSIT_MS / 2;

interface Stage {
  readonly scenario: Scenario;
  /** Replica of the name, and the only one that will accept the last put. */
  readonly leaver: SimNode;
  readonly others: readonly [SimNode, SimNode];
  readonly name: string;
}

/** The put reaches nobody but the leaver, whose process is gone before it could try again. */
async function putOnlyAt({ scenario, leaver, others, name }: Stage): Promise<void> {
  void scenario.put(leaver, name, 'accepted by one');
  await scenario.sleep(ACCEPT_UNDER_WAY_MS);
  for (const other of others) scenario.separate(leaver, other);
  await scenario.sleep(50);
  leaver.crash();
  leaver.start();
  await scenario.until(() => leaver.program() !== null, () => 'the leaver is up');
}

/** Leaves while nobody can ask it for what it has, so that no catch-up merges it. */
async function leaveUnheard({ scenario, leaver, others: [other] }: Stage): Promise<void> {
  const head = must(scenario.program(leaver).store.head(objectKey('the name', KEY_BITS)), 'the record');
  expect(head.kind).toBe('object');
  for (const node of scenario.cluster.nodes()) if (node !== leaver) scenario.unite(leaver, node);
  await scenario.until(() => leaver.program()?.service.view().state === 'serving', () => 'the leaver serves');
  await scenario.program(leaver).service.leave();
  await scenario.until(() => other.program()?.layout()?.phase === 'moving', () => 'the move begins');
  leaver.crash();
  await scenario.until(() => other.program()?.layout()?.phase === 'stable', () => 'the move ends');
  leaver.start();
}

async function play(story: (stage: Stage) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  const name = 'the name';
  expect(await scenario.run(async () => {
    const nodes = await scenario.found(NAMES);
    for (const node of nodes) await scenario.put(node, 'something else', 'to warm up');
    const [first, second, last] = scenario.replicasOf(name, must(nodes[0], 'a node')).map((replica) => must(nodes.find((node) => node.name === replica), 'a replica'));
    await story({ scenario, name, leaver: must(last, 'a replica'), others: [must(first, 'a replica'), must(second, 'a replica')] });
  })).toEqual([]);
}

describe('a leaver that alone accepted a write which was never chosen', () => {
  test('ends after the value that was chosen before is chosen again above it', async () => {
    await play(async (stage) => {
      const { scenario, name, others: [other], leaver } = stage;
      await scenario.put(other, name, 'acknowledged');
      await scenario.sleep(100);
      await putOnlyAt(stage);
      await leaveUnheard(stage);
      await scenario.until(() => leaver.isGone() && !leaver.isUp(), () => 'the leaver ends');
      await scenario.rest();
      expect(await scenario.get(other, name)).toBe('acknowledged');
    });
  });

  test('ends also when the new owners never had the name, which stays absent', async () => {
    await play(async (stage) => {
      const { scenario, name, others: [other], leaver } = stage;
      await putOnlyAt(stage);
      await leaveUnheard(stage);
      await scenario.until(() => leaver.isGone() && !leaver.isUp(), () => 'the leaver ends');
      await scenario.rest();
      expect(await scenario.get(other, name)).toBe(null);
    });
  });
});
