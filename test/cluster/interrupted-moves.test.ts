/** Moves of whole nodes that a crash interrupts: found by seeds of the swarm, kept as scenarios. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3', 'node:4'];
/** Longer than a move waits for a joiner that is gone. */
const ABORT_MS = 12_000;

function layoutOf(node: SimNode): Layout | null {
  return node.program()?.layout() ?? null;
}

function memberNames(node: SimNode): readonly string[] {
  return (layoutOf(node)?.members ?? []).map(({ name }) => name).sort();
}

async function play(story: (scenario: Scenario, nodes: readonly SimNode[]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    await story(scenario, await scenario.found(NAMES));
  })).toEqual([]);
}

describe('a move that a crash interrupts', () => {
  test('a leaver that lost its process in the middle goes on leaving, and ends', async () => {
    await play(async (scenario, nodes) => {
      const leaver = must(nodes[3], 'a node');
      const other = must(nodes[0], 'a node');
      await scenario.put(other, 'file', 'content');
      await scenario.program(leaver).service.leave();
      await scenario.until(() => layoutOf(other)?.phase === 'moving', () => 'the move begins');
      leaver.crash();
      leaver.start();
      await scenario.until(() => leaver.isGone() && !leaver.isUp(), () => 'the leaver ends');
      await scenario.rest();
      expect(memberNames(other)).toEqual(NAMES.slice(0, 3));
      expect(await scenario.get(other, 'file')).toBe('content');
    });
  });

  test('a node with a new disk whose move was given up asks again, and replaces the lost one', async () => {
    await play(async (scenario, nodes) => {
      const wiped = must(nodes[3], 'a node');
      const other = must(nodes[0], 'a node');
      const lost = scenario.program(wiped).service.view().nodeId;
      wiped.wipe(NAMES.slice(0, 3));
      wiped.start();
      await scenario.until(() => layoutOf(wiped)?.phase === 'moving', () => 'the move begins');
      wiped.crash();
      await scenario.sleep(ABORT_MS);
      expect(layoutOf(other)?.members.map(({ nodeId }) => nodeId)).toContain(lost);
      wiped.start();
      await scenario.rest();
      expect(memberNames(other)).toEqual(NAMES);
      expect(layoutOf(other)?.members.map(({ nodeId }) => nodeId)).not.toContain(lost);
    });
  });

  test('a joiner can not leave before it is a member', async () => {
    await play(async (scenario, nodes) => {
      const joiner = scenario.add('node:5', NAMES, 1);
      await scenario.until(() => layoutOf(joiner)?.phase === 'moving', () => 'the move begins');
      expect(await scenario.program(joiner).service.leave()).toMatchObject({ kind: 'failed', code: 'DHT_ERR_CONFLICT' });
      await scenario.rest();
      expect(memberNames(must(nodes[0], 'a node'))).toContain('node:5');
    });
  });

  test('two members that leave shortly after one another both end, and nothing is lost', async () => {
    await play(async (scenario, nodes) => {
      const [a, b, c, d] = nodes.map((node) => must(node, 'a node'));
      for (let i = 0; i < 8; i++) await scenario.put(must(a, 'a'), `file ${i}`, `content ${i}`);
      await scenario.program(must(c, 'c')).service.leave();
      await scenario.sleep(300);
      await scenario.program(must(d, 'd')).service.leave();
      await scenario.until(() => [c, d].every((node) => node?.isGone() === true && !node.isUp()), () => 'both leavers end');
      await scenario.rest();
      for (let i = 0; i < 8; i++) expect(await scenario.get(must(b, 'b'), `file ${i}`)).toBe(`content ${i}`);
    });
  });
});
