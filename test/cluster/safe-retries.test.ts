/**
 * What an Idempotency-Key promises: a write that is sent again under it is applied once, as long as fewer than eight
 * other writes of the name, and no erasure, came between. Beyond that it is a write of its own, and this is shown too.
 */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import type { OpId } from '../../src/domain/ids.ts';
import type { DeleteOutcome, PutOutcome, WriteCondition } from '../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { NODE_TUNING, type NodeTuning } from '../../src/node/node-tuning.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
const RETRIED = 'a'.repeat(32) as OpId;
/** Other writes of the name below which a retry is safe: what clients were promised, so not a constant of the code. */
const SAFE_BELOW = 8;
const ANYHOW: WriteCondition = { kind: 'none' };
const ONLY_NEW: WriteCondition = { kind: 'absent' };

/** The clients of one name. */
class Clients {
  readonly scenario: Scenario;
  readonly nodes: readonly SimNode[];
  #others = 0;

  constructor(scenario: Scenario, nodes: readonly SimNode[]) {
    this.scenario = scenario;
    this.nodes = nodes;
  }

  node(index: number): SimNode {
    return must(this.nodes[index % this.nodes.length], 'a node');
  }

  put(through: SimNode, opId: OpId, text: string, condition = ANYHOW): Promise<PutOutcome> {
    const { objects } = this.scenario.program(through).service;
    return objects.put({ name: 'file', body: Buffer.from(text), contentType: 'text/plain', meta: [], condition, opId });
  }

  remove(through: SimNode, opId: OpId): Promise<DeleteOutcome> {
    return this.scenario.program(through).service.objects.delete({ name: 'file', condition: ANYHOW, opId });
  }

  /** `count` writes by others, each through another node. */
  async others(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const number = this.#others++;
      expect(await this.put(this.node(number), number.toString(16).padStart(32, '0') as OpId, `other ${number}`)).toMatchObject({ kind: 'stored' });
    }
  }

  async text(): Promise<string | null> {
    const end = await this.scenario.program(this.node(0)).service.objects.get({ name: 'file', consistency: 'linearizable', wantBody: true });
    if (end.kind === 'found') return String(end.body);
    expect(end.kind).toBe('absent');
    return null;
  }
}

async function play(story: (clients: Clients) => Promise<void>, tuning: Partial<NodeTuning> = {}): Promise<void> {
  const scenario = new Scenario(ALL_RULES, tuning);
  expect(await scenario.run(async () => {
    await story(new Clients(scenario, await scenario.found(NAMES)));
  })).toEqual([]);
}

function versionOf(outcome: PutOutcome): string {
  if (outcome.kind !== 'stored') throw new Error(outcome.kind);
  return outcome.receipt.version;
}

describe('a write that is sent again under its key', () => {
  test('is answered as before and not applied again, through any node, after seven other writes', async () => {
    await play(async (clients) => {
      const first = await clients.put(clients.node(0), RETRIED, 'mine', ONLY_NEW);
      await clients.others(SAFE_BELOW - 1);
      for (const node of clients.nodes) {
        const again = await clients.put(node, RETRIED, 'mine', ONLY_NEW);
        expect(again).toMatchObject({ kind: 'stored', isCreated: true });
        expect(versionOf(again)).toBe(versionOf(first));
      }
      expect(await clients.text()).toBe('other 6');
    });
  });

  test('is a write of its own after eight, and a condition that no longer holds refuses it', async () => {
    await play(async (clients) => {
      const first = await clients.put(clients.node(0), RETRIED, 'mine', ONLY_NEW);
      await clients.others(SAFE_BELOW);
      expect(await clients.put(clients.node(1), RETRIED, 'mine', ONLY_NEW)).toMatchObject({ kind: 'precondition-failed' });
      expect(await clients.text()).toBe('other 7');
      const again = await clients.put(clients.node(1), RETRIED, 'mine');
      expect(versionOf(again)).not.toBe(versionOf(first));
      expect(await clients.text()).toBe('mine');
    });
  });

  test('deletes nothing that others stored since', async () => {
    await play(async (clients) => {
      await clients.others(1);
      expect(await clients.remove(clients.node(0), RETRIED)).toEqual({ kind: 'deleted', wasPresent: true });
      await clients.others(SAFE_BELOW - 1);
      expect(await clients.remove(clients.node(1), RETRIED)).toEqual({ kind: 'deleted', wasPresent: true });
      expect(await clients.text()).toBe('other 7');
    });
  });

  test('brings nothing back that was deleted since, as long as the tombstone is kept', async () => {
    await play(async (clients) => {
      const first = await clients.put(clients.node(0), RETRIED, 'mine');
      await clients.remove(clients.node(1), 'b'.repeat(32) as OpId);
      expect(versionOf(await clients.put(clients.node(2), RETRIED, 'mine'))).toBe(versionOf(first));
      expect(await clients.text()).toBe(null);
    });
  });

  test('is a write of its own once the tombstone was erased', async () => {
    const erasure = { ...NODE_TUNING.erasure, ageMs: 2_000, settledMs: 500, turnMs: 1_000, passMs: 300, stepMs: 5 };
    await play(async (clients) => {
      const { scenario, nodes } = clients;
      const first = await clients.put(clients.node(0), RETRIED, 'mine', ONLY_NEW);
      await clients.remove(clients.node(1), 'b'.repeat(32) as OpId);
      await scenario.until(() => nodes.every((node) => scenario.program(node).store.totals().tombstones === 0), () => 'it is erased');
      const again = await clients.put(clients.node(2), RETRIED, 'mine', ONLY_NEW);
      expect(again).toMatchObject({ kind: 'stored', isCreated: true });
      expect(versionOf(again)).not.toBe(versionOf(first));
      expect(await clients.text()).toBe('mine');
    }, { erasure });
  });

  test('is known to the nodes that took the arc over, when none of those that applied it is left', async () => {
    await play(async (clients) => {
      const { scenario, nodes } = clients;
      const first = await clients.put(clients.node(0), RETRIED, 'mine', ONLY_NEW);
      await clients.others(2);
      const added = ['node:4', 'node:5', 'node:6'].map((name) => scenario.add(name, NAMES, 3));
      await scenario.until(() => added.every((node) => (node.program()?.layout()?.members.length ?? 0) === 6), () => 'the new ones are members');
      await scenario.rest();
      for (const node of nodes) {
        await scenario.program(node).service.leave();
        await scenario.until(() => node.isGone() && !node.isUp(), () => 'it left');
        await scenario.rest();
      }
      const later = new Clients(scenario, added);
      for (const node of added) expect(versionOf(await later.put(node, RETRIED, 'mine', ONLY_NEW))).toBe(versionOf(first));
      expect(await later.text()).toBe('other 1');
    });
  });
});
