/** Nodes of the build before and of today's in one ring: every operation works, and what only the newer do waits for the others. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
const AGE_MS = 2_000;
const OLD = 1;
const erasure = { ...NODE_TUNING.erasure, ageMs: AGE_MS, settledMs: 500, turnMs: 1_000, passMs: 300, stepMs: 5 };

async function play(old: readonly string[], steps: (scenario: Scenario, nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES, { erasure });
  for (const name of old) scenario.protocolMax.set(name, OLD);
  expect(await scenario.run(async () => {
    const [a, b, c] = await scenario.found(NAMES);
    await steps(scenario, [must(a, 'a'), must(b, 'b'), must(c, 'c')]);
  })).toEqual([]);
}

const tombstones = (scenario: Scenario, nodes: readonly SimNode[]): readonly number[] => nodes.map((node) => scenario.program(node).store.totals().tombstones);

/** As an operator would: end the process, start the other build. */
async function restartAs(scenario: Scenario, node: SimNode, version: number): Promise<void> {
  scenario.protocolMax.set(node.name, version);
  await node.stop();
  node.start();
  await scenario.rest();
}

describe.each([
  ['one node is of the build before', ['node:2']],
  ['one node is of today\'s', ['node:1', 'node:3']],
  ['all are of the build before', NAMES],
])('%s', (_title, old) => {
  test('files are stored, replaced, listed and deleted through every node', async () => {
    await play(old, async (scenario, nodes) => {
      for (const node of nodes) await scenario.put(node, `file of ${node.name}`, `stored through ${node.name}`);
      for (const reader of nodes) for (const { name } of nodes) expect(await scenario.get(reader, `file of ${name}`)).toBe(`stored through ${name}`);
      for (const [i, node] of nodes.entries()) await scenario.remove(node, `file of ${must(nodes[(i + 1) % 3], 'the next').name}`);
      for (const reader of nodes) for (const { name } of nodes) expect(await scenario.get(reader, `file of ${name}`)).toBe(null);
    });
  });

  test('a fourth node joins and gets its share, and one of them leaves', async () => {
    await play(old, async (scenario, [a, b]) => {
      for (let i = 0; i < 10; i++) await scenario.put(a, `file ${i}`, `body ${i}`);
      const joiner = scenario.add('node:4', NAMES, 1);
      await scenario.rest();
      await scenario.program(b).service.leave();
      await scenario.until(() => b.isGone(), () => 'it has left');
      await scenario.rest();
      for (let i = 0; i < 10; i++) expect(await scenario.get(joiner, `file ${i}`)).toBe(`body ${i}`);
    });
  });
});

test('a tombstone stays while one replica can\'t be asked for it, and goes after the last upgrade', async () => {
  await play(['node:2'], async (scenario, nodes) => {
    await scenario.put(nodes[0], 'file', 'gone soon');
    await scenario.remove(nodes[0], 'file');
    await scenario.sleep(10 * AGE_MS);
    expect(tombstones(scenario, nodes)).toEqual([1, 1, 1]);
    await restartAs(scenario, nodes[1], PROTOCOL_VERSIONS.max);
    await scenario.until(() => tombstones(scenario, nodes).every((count) => count === 0), () => 'it is erased');
    expect(await scenario.get(nodes[1], 'file')).toBe(null);
  });
});

test('nodes are upgraded one by one and one is set back, and each operation works in between', async () => {
  await play(NAMES, async (scenario, nodes) => {
    const [a, b, c] = nodes;
    let version = 0;
    for (const [node, to] of [[a, 2], [b, 2], [a, 1], [c, 2], [a, 2]] as const) {
      version++;
      await scenario.put(a, 'file', `version ${version}`);
      await restartAs(scenario, node, to);
      expect(node.protocolMax()).toBe(to);
      for (const reader of nodes) expect(await scenario.get(reader, 'file')).toBe(`version ${version}`);
    }
  });
});
