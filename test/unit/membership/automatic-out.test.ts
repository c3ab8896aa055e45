/** Members that stay down are taken out by the others, and only then; in small rings under a virtual clock. */
import { describe, expect, test } from '@jest/globals';
import type { MembershipEvent } from '../../../src/membership/membership-event.ts';
import { MembershipKernel } from '../../../src/sim/kernels/membership-kernel.ts';

const OUT_AFTER_MS = 30_000;
const options = {
  ring: { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 },
  latencyMs: [0.2, 3], writeMs: [0.5, 5], catchUpMs: [5, 60], outAfterMs: OUT_AFTER_MS,
} as const;
const NAMES = ['localhost:7400', 'localhost:7401', 'localhost:7402', 'localhost:7403', 'localhost:7404'] as const;
const [a, b, c, d, e] = NAMES;

const join = (seeds: readonly string[]): MembershipEvent => ({ kind: 'join', seeds, initialNames: [], whenMember: 'stay', timeoutMs: null });

function ringOf(...names: readonly string[]): MembershipKernel {
  const kernel = new MembershipKernel(1, options);
  names.forEach((name, i) => {
    kernel.start(name, i === 0 ? { kind: 'found' } : join([names[0] as string]));
    kernel.run(kernel.nowMs + 3000, () => kernel.node(name).outcome.joined);
  });
  kernel.run(kernel.nowMs + 5000);
  return kernel;
}

const membersAt = (kernel: MembershipKernel, name: string): readonly string[] => (kernel.machine(name).clusterView()?.layout.members ?? []).map((m) => m.name).sort();
const isOutAt = (kernel: MembershipKernel, name: string, who: string): boolean => !membersAt(kernel, name).includes(who) && kernel.machine(name).clusterView()?.layout.phase === 'stable';

/** Milliseconds until `who` is out as `at` sees it; null: not within `msMax`. */
function outTime(kernel: MembershipKernel, at: string, who: string, msMax: number): number | null {
  const startMs = kernel.nowMs;
  return kernel.run(startMs + msMax, () => isOutAt(kernel, at, who)) ? kernel.nowMs - startMs : null;
}

describe('a member that stays down', () => {
  test('is out after outAfter and the time it takes to be sure of its failure, not earlier', () => {
    const kernel = ringOf(a, b, c, d);
    kernel.crash(c);
    const tookMs = outTime(kernel, a, c, 60_000) ?? 0;
    expect(tookMs).toBeGreaterThan(OUT_AFTER_MS);
    expect(tookMs).toBeLessThan(OUT_AFTER_MS + 10_000);
    expect(kernel.run(kernel.nowMs + 2_000, () => kernel.wrongPointers([a, b, d]).length === 0)).toBe(true);
  });

  test('stays a member of a ring of three, which says why', () => {
    const kernel = ringOf(a, b, c);
    const { nodeId } = kernel.node(c).disk;
    kernel.crash(c);
    expect(outTime(kernel, a, c, 120_000)).toBeNull();
    expect(kernel.machine(a).downMembers.get(nodeId)).toMatchObject({ verdict: { kind: 'kept', reason: { kind: 'nobody-to-replace', up: 2, members: 3 } } });
  });

  test('that comes back now and then begins anew each time', () => {
    const kernel = ringOf(a, b, c, d);
    for (let spell = 0; spell < 4; spell++) {
      kernel.crash(c);
      expect(outTime(kernel, a, c, 25_000)).toBeNull();
      kernel.start(c, join([a]));
      kernel.run(kernel.nowMs + 3000);
    }
    expect(kernel.wrongPointers([a, b, c, d])).toEqual([]);
  });

  test('is counted on by a steward that was restarted meanwhile, which first looks for itself', () => {
    const kernel = ringOf(a, b, c, d, e);
    const victim = NAMES.find((name) => !kernel.machine(a).clusterView()?.layout.voters.includes(kernel.node(name).disk.nodeId)) as string;
    const others = NAMES.filter((name) => name !== victim);
    kernel.crash(victim);
    kernel.run(kernel.nowMs + OUT_AFTER_MS + 3_000);
    for (const name of others) {
      kernel.crash(name);
      kernel.start(name, join([a]));
      kernel.run(kernel.nowMs + 500);
    }
    const tookMs = outTime(kernel, others[0] as string, victim, 60_000) ?? Infinity;
    expect(tookMs).toBeLessThan(OUT_AFTER_MS - 5_000);
    expect(tookMs).toBeGreaterThan(8_000);
  });

  test('is not taken out by the smaller side of a cut, nor at once when the cut is healed', () => {
    const kernel = ringOf(a, b, c, d, e);
    for (const cutOff of [d, e]) for (const other of [a, b, c]) kernel.cut(cutOff, other);
    kernel.run(kernel.nowMs + 3 * OUT_AFTER_MS);
    for (const name of NAMES) expect(membersAt(kernel, name)).toEqual([...NAMES]);
    kernel.cuts.clear();
    kernel.run(kernel.nowMs + OUT_AFTER_MS);
    expect(kernel.wrongPointers(NAMES)).toEqual([]);
    expect(membersAt(kernel, a)).toEqual([...NAMES]);
  });

  test('that announced a restart has until its deadline, and then outAfter like any other', () => {
    const kernel = ringOf(a, b, c, d);
    kernel.give(c, { kind: 'stopping' });
    kernel.run(kernel.nowMs + 100);
    kernel.crash(c);
    const tookMs = outTime(kernel, a, c, 200_000) ?? 0;
    expect(tookMs).toBeGreaterThan(60_000 + OUT_AFTER_MS);
  });
});

describe('a member that returns after it was taken out', () => {
  test('joins again by itself, without votes of its old life', () => {
    const kernel = ringOf(a, b, c, d);
    const { nodeId } = kernel.node(c).disk;
    kernel.crash(c);
    expect(outTime(kernel, a, c, 60_000)).not.toBeNull();
    const outEpoch = kernel.machine(a).clusterView()?.layout.epoch ?? 0;
    kernel.start(c, null);
    expect(kernel.run(kernel.nowMs + 10_000, () => kernel.wrongPointers([a, b, c, d]).length === 0)).toBe(true);
    expect(kernel.node(c).disk.nodeId).toBe(nodeId);
    expect(kernel.node(c).outcome.left).toBe(false);
    expect(kernel.machine(c).clusterView()?.layout.epoch).toBeGreaterThan(outEpoch);
  });

  test('in the middle of the move that takes it out doesn\'t take that for a leave of its own', () => {
    const slow = new MembershipKernel(2, { ...options, catchUpMs: [3000, 4000] });
    [a, b, c, d].forEach((name, i) => {
      slow.start(name, i === 0 ? { kind: 'found' } : join([a]));
      slow.run(slow.nowMs + 20_000, () => slow.node(name).outcome.joined);
    });
    slow.run(slow.nowMs + 10_000);
    slow.crash(c);
    expect(slow.run(slow.nowMs + 60_000, () => slow.machine(a).clusterView()?.layout.members.some((m) => m.name === c && m.state === 'lost') === true)).toBe(true);
    slow.start(c, null);
    expect(slow.run(slow.nowMs + 40_000, () => slow.wrongPointers([a, b, c, d]).length === 0 && slow.machine(c).state.kind === 'member')).toBe(true);
    expect(slow.node(c).outcome.left).toBe(false);
  });
});
