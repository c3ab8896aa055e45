/**
 * A replica that is cut off without a word: until the detector notices, reads that happen to ask it first must not wait for it.
 */
import { expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { INLINE_BODY_BYTES_MAX } from '../../src/domain/limits.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3', 'node:4'];
/** Two graces of 20 ms and two exchanges of 10 ms, each with something to spare. */
const READ_MS_MAX = 100;

/** Fails unless it finds the object, with its body when that is small. */
async function read(scenario: Scenario, reader: SimNode, i: number, bytes: number): Promise<void> {
  const found = await scenario.program(reader).service.objects.get({ name: `file ${i}`, consistency: 'linearizable', wantBody: true });
  if (found.kind !== 'found') throw new Error(`file ${i} through ${reader.name}: ${found.kind}`);
  expect([found.record.body.size, found.body?.length ?? null]).toEqual([bytes, bytes > INLINE_BODY_BYTES_MAX ? null : bytes]);
}

test.each([['small', 100], ['large', INLINE_BODY_BYTES_MAX + 1]])('a %s body is read in time whichever replica is asked first', async (_size, bytes) => {
  const scenario = new Scenario(ALL_RULES);
  const slow: string[] = [];
  const violations = await scenario.run(async () => {
    const nodes = await scenario.found(NAMES);
    const [first] = nodes;
    for (const node of nodes) await scenario.put(node, `warm up ${node.name}`, 'x');
    for (let i = 0; i < 24; i++) {
      const pieces: (Buffer | null)[] = [Buffer.alloc(bytes, i), null];
      const outcome = await scenario.program(must(first, 'a node')).service.objects.putStream({
        name: `file ${i}`, source: { next: () => Promise.resolve(pieces.shift() ?? null) }, expectedSize: bytes, verify: () => null,
        contentType: '', meta: [], condition: { kind: 'none' }, opId: null,
      });
      expect(outcome.kind).toBe('stored');
    }
    for (const node of nodes) for (let i = 0; i < 24; i++) await read(scenario, node, i, bytes);
    await scenario.sleep(1_000);
    const [a, b, c, d] = nodes as [SimNode, SimNode, SimNode, SimNode];
    for (const other of [b, c, d]) {
      scenario.network.cut(a.name, other.name);
      scenario.network.cut(other.name, a.name);
    }
    const reads: Promise<void>[] = [];
    for (const reader of [b, c, d]) {
      for (let i = 0; i < 24; i++) {
        const beginAt = scenario.sim.clock.nowMs();
        reads.push(read(scenario, reader, i, bytes).then(() => {
          const tookMs = scenario.sim.clock.nowMs() - beginAt;
          if (tookMs > READ_MS_MAX) slow.push(`file ${i} through ${reader.name}: ${tookMs} ms`);
        }));
      }
    }
    await Promise.all(reads);
  });
  expect(violations).toEqual([]);
  expect(slow).toEqual([]);
});
