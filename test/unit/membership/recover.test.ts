/** Recovery by an operator's word, in small rings of the real machines under a virtual clock. */
import { describe, expect, test } from '@jest/globals';
import type { MembershipEvent } from '../../../src/membership/membership-event.ts';
import { MembershipKernel } from '../../../src/sim/kernels/membership-kernel.ts';

const options = {
  ring: { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 },
  latencyMs: [0.2, 3], writeMs: [0.5, 5], catchUpMs: [5, 60],
} as const;
const NAMES = ['localhost:7400', 'localhost:7401', 'localhost:7402', 'localhost:7403', 'localhost:7404'] as const;
const [a, b, c, d, e] = NAMES;
const ACCEPTED: MembershipEvent = { kind: 'recover', acceptDataLoss: true, atMs: 1_000 };
/** Time after which a failure is certain everywhere. */
const CERTAIN_MS = 10_000;

const join = (seeds: readonly string[]): MembershipEvent => ({ kind: 'join', seeds, initialNames: [], whenMember: 'stay', timeoutMs: null });

function ringOf(...names: readonly string[]): MembershipKernel {
  const kernel = new MembershipKernel(1, options);
  names.forEach((name, i) => {
    kernel.start(name, i === 0 ? { kind: 'found' } : join([names[0] as string]));
    kernel.run(kernel.nowMs + 3000, () => kernel.node(name).outcome.joined);
  });
  kernel.run(kernel.nowMs + 5000);
  expect(kernel.wrongPointers(names)).toEqual([]);
  return kernel;
}

const layoutAt = (kernel: MembershipKernel, name: string) => kernel.machine(name).clusterView()?.layout;
const membersAt = (kernel: MembershipKernel, name: string): readonly string[] => (layoutAt(kernel, name)?.members ?? []).map((m) => m.name).sort();

function recover(kernel: MembershipKernel, name: string, event: MembershipEvent = ACCEPTED): string | null {
  kernel.node(name).outcome.recovery = null;
  kernel.give(name, event);
  kernel.run(kernel.nowMs + 12_000, () => kernel.node(name).outcome.recovery !== null);
  return kernel.node(name).outcome.recovery;
}

/** The ring of exactly these, stable, and each of them a member of it. */
function isRing(kernel: MembershipKernel, names: readonly string[], msMax = 15_000): boolean {
  return kernel.run(kernel.nowMs + msMax, () => kernel.wrongPointers(names).length === 0
    && names.every((name) => layoutAt(kernel, name)?.phase === 'stable' && layoutAt(kernel, name)?.members.length === names.length));
}

describe('a recovery is refused', () => {
  test('while the voters and every arc have a majority', () => {
    const kernel = ringOf(a, b, c);
    expect(recover(kernel, a)).toContain('nothing to recover');
    kernel.crash(c);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, a)).toContain('nothing to recover');
  });

  test('while it is not certain that the others are down', () => {
    const kernel = ringOf(a, b);
    kernel.crash(b);
    kernel.run(kernel.nowMs + 2_000);
    expect(recover(kernel, a)).toContain(`It is not certain yet that ${b} is down`);
  });

  test('without the flag, with what would be lost and what to start instead', () => {
    const kernel = ringOf(a, b, c);
    kernel.crash(b);
    kernel.crash(c);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    const epoch = layoutAt(kernel, a)?.epoch;
    const refusal = recover(kernel, a, { kind: 'recover', acceptDataLoss: false, atMs: 1 }) ?? '';
    expect(refusal).toContain(`Given up for good: ${b}, ${c}.`);
    expect(refusal).toContain('Of 100.0 % of all names fewer than a majority');
    expect(refusal).toMatch(/Instead, without any loss: start localhost:740[12] with its disk/);
    expect(layoutAt(kernel, a)?.epoch).toBe(epoch);
  });

  test('when a survivor sees one of the lost alive', () => {
    const kernel = ringOf(a, b, c, d, e);
    for (const name of [c, d]) kernel.crash(name);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    kernel.cut(a, e);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, a)).toMatch(/did not agree|sees|nothing to recover/);
    expect(layoutAt(kernel, a)?.recoveries).toEqual([]);
  });
});

describe('a recovery of two nodes', () => {
  test.each([[a, b], [b, a]])('%s goes on without %s, with a record of it, and takes others in', (left, lost) => {
    const kernel = ringOf(a, b);
    const epoch = layoutAt(kernel, left)?.epoch ?? 0;
    kernel.wipe(lost);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, left)).toBe('recovered');
    expect(isRing(kernel, [left])).toBe(true);
    expect(layoutAt(kernel, left)?.recoveries).toMatchObject([{ fromEpoch: epoch, by: left, lost: [lost], atMs: 1_000 }]);
    kernel.start(lost, join([left]));
    expect(isRing(kernel, [a, b])).toBe(true);
    kernel.crash(left);
    kernel.start(left, join([lost]));
    expect(isRing(kernel, [a, b])).toBe(true);
  });

  test.each([[a, b], [b, a]])('%s recovered without %s, whose disk was not lost: it joins again by itself', (left, lost) => {
    const kernel = ringOf(a, b);
    kernel.crash(lost);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, left)).toBe('recovered');
    expect(isRing(kernel, [left])).toBe(true);
    kernel.start(lost, join([left]));
    expect(isRing(kernel, [a, b], 60_000)).toBe(true);
    expect(kernel.machine(lost).fork).toBeNull();
  });

  test('each of two that were cut off from each other recovers: two rings that know of each other and never merge', () => {
    const kernel = ringOf(a, b);
    kernel.cut(a, b);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, a)).toBe('recovered');
    expect(recover(kernel, b)).toBe('recovered');
    kernel.run(kernel.nowMs + 5_000);
    kernel.cuts.clear();
    expect(kernel.run(kernel.nowMs + 60_000, () => kernel.machine(a).fork !== null && kernel.machine(b).fork !== null)).toBe(true);
    kernel.run(kernel.nowMs + 60_000);
    expect([membersAt(kernel, a), membersAt(kernel, b)]).toEqual([[a], [b]]);
  });
});

describe('a recovery of three and five nodes', () => {
  test('two of three are gone: the last goes on, and others join it', () => {
    const kernel = ringOf(a, b, c);
    kernel.wipe(a);
    kernel.wipe(b);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, c)).toBe('recovered');
    expect(isRing(kernel, [c])).toBe(true);
    kernel.start(a, join([c]));
    kernel.start(b, join([c]));
    expect(isRing(kernel, [a, b, c], 30_000)).toBe(true);
  });

  test('two operators at two survivors make one ring', () => {
    for (let delayMs = 0; delayMs < 40; delayMs += 2) {
      const kernel = ringOf(a, b, c, d, e);
      for (const name of [c, d, e]) kernel.crash(name);
      kernel.run(kernel.nowMs + CERTAIN_MS);
      kernel.give(a, ACCEPTED);
      kernel.at(delayMs, () => { kernel.give(b, ACCEPTED); });
      kernel.run(kernel.nowMs + 12_000);
      const outcomes = [a, b].map((name) => kernel.node(name).outcome.recovery);
      if (!outcomes.includes('recovered')) expect(recover(kernel, a)).toBe('recovered');
      expect(isRing(kernel, [a, b])).toBe(true);
    }
  });

  test('all survivors crash in the middle of it: the next attempt ends it', () => {
    for (let crashMs = 1; crashMs < 30; crashMs += 2) {
      const kernel = ringOf(a, b, c, d, e);
      for (const name of [c, d, e]) kernel.crash(name);
      kernel.run(kernel.nowMs + CERTAIN_MS);
      kernel.give(a, ACCEPTED);
      kernel.run(kernel.nowMs + crashMs);
      for (const name of [a, b]) kernel.crash(name);
      for (const name of [a, b]) kernel.start(name, join([a, b]));
      kernel.run(kernel.nowMs + 2 * CERTAIN_MS);
      if (layoutAt(kernel, a)?.recoveries.length === 0) expect(recover(kernel, a)).toBe('recovered');
      expect(isRing(kernel, [a, b], 30_000)).toBe(true);
    }
  });

  test('members given up that return one after the other join again; their old layout has no vote', () => {
    const kernel = ringOf(a, b, c, d, e);
    for (const name of [c, d, e]) kernel.crash(name);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, a)).toBe('recovered');
    expect(isRing(kernel, [a, b])).toBe(true);
    for (const [i, name] of [c, d, e].entries()) {
      kernel.start(name, join([a]));
      expect(isRing(kernel, [a, b, ...[c, d, e].slice(0, i + 1)], 60_000)).toBe(true);
    }
  });

  test('members given up that return together could have taken writes: they stay apart and say so', () => {
    const kernel = ringOf(a, b, c, d, e);
    for (const name of [c, d, e]) kernel.cut(a, name);
    for (const name of [c, d, e]) kernel.cut(b, name);
    kernel.run(kernel.nowMs + CERTAIN_MS);
    expect(recover(kernel, a)).toBe('recovered');
    kernel.run(kernel.nowMs + 5_000);
    kernel.cuts.clear();
    expect(kernel.run(kernel.nowMs + 60_000, () => [c, d, e].some((name) => kernel.machine(name).fork !== null))).toBe(true);
    kernel.run(kernel.nowMs + 30_000);
    expect(membersAt(kernel, a)).toEqual([a, b]);
    for (const name of [c, d, e]) expect(layoutAt(kernel, name)?.recoveries).toEqual([]);
  });

  test('a survivor that is lost in the middle of the recovery\'s move is given up by another one', () => {
    const slow = new MembershipKernel(3, { ...options, catchUpMs: [60_000, 60_000] });
    NAMES.forEach((name, i) => {
      slow.start(name, i === 0 ? { kind: 'found' } : join([a]));
      slow.run(slow.nowMs + 200_000, () => slow.node(name).outcome.joined);
    });
    slow.run(slow.nowMs + 100_000);
    for (const name of [d, e]) slow.wipe(name);
    slow.run(slow.nowMs + CERTAIN_MS);
    expect(recover(slow, a)).toBe('recovered');
    expect(layoutAt(slow, a)?.phase).toBe('moving');
    slow.wipe(b);
    slow.run(slow.nowMs + CERTAIN_MS);
    const second = recover(slow, a);
    if (second !== 'recovered') expect(second).toContain('nothing to recover');
    expect(slow.run(slow.nowMs + 300_000, () => layoutAt(slow, a)?.phase === 'stable')).toBe(true);
  });
});
