/** Joining, founding, leaving and being replaced, in small rings of the real machines under a virtual clock. */
import { describe, expect, test } from '@jest/globals';
import type { MembershipEvent } from '../../../src/membership/membership-event.ts';
import { MembershipKernel } from '../../../src/sim/kernels/membership-kernel.ts';

const ring = { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 };
const options = { ring, latencyMs: [0.2, 3], writeMs: [0.5, 5], catchUpMs: [5, 60] } as const;
const [a, b, c, d] = ['localhost:7400', 'localhost:7401', 'localhost:7402', 'localhost:7403'] as const;

type JoinEvent = Extract<MembershipEvent, { kind: 'join' }>;

function join(seeds: readonly string[], more: Partial<JoinEvent> = {}): JoinEvent {
  return { kind: 'join', seeds, initialNames: [], whenMember: 'stay', timeoutMs: null, ...more };
}

function ringOf(...names: readonly string[]): MembershipKernel {
  const kernel = new MembershipKernel(1, options);
  names.forEach((name, i) => {
    kernel.start(name, i === 0 ? { kind: 'found' } : join([names[0] as string]));
    kernel.run(kernel.nowMs + 3000, () => kernel.node(name).outcome.joined);
  });
  expect(kernel.wrongPointers(names)).toEqual([]);
  return kernel;
}

const epochOf = (kernel: MembershipKernel, name: string): number => kernel.machine(name).clusterView()?.layout.epoch ?? 0;

describe('founding', () => {
  test('a node told to found is a ring of one at epoch 1', () => {
    const kernel = ringOf(a);
    expect(epochOf(kernel, a)).toBe(1);
    expect(kernel.machine(a).state.kind).toBe('member');
  });

  test('a node with no order stays alone', () => {
    const kernel = new MembershipKernel(1, options);
    kernel.start(a, null);
    kernel.run(10_000);
    expect(kernel.machine(a).state.kind).toBe('idle');
    expect(kernel.machine(a).clusterView()).toBeNull();
  });

  test('three initial nodes found one ring when all three are there, and not before', () => {
    const kernel = new MembershipKernel(1, options);
    const initialNames = [a, b, c];
    const order = join(initialNames, { initialNames });
    kernel.start(a, order);
    kernel.start(b, order);
    kernel.run(5000);
    expect(kernel.machine(a).clusterView()).toBeNull();
    expect(kernel.machine(a).state.detail).toContain(c);
    expect(kernel.node(b).disk.promisedFounder).toBe(kernel.node(a).disk.nodeId);
    kernel.start(c, order);
    expect(kernel.run(8000, () => kernel.wrongPointers(initialNames).length === 0)).toBe(true);
    expect(epochOf(kernel, c)).toBe(1);
    expect(kernel.clusters.size).toBe(1);
  });

  test('a promise is durable before it is told: after a crash of all, the same founder is followed', () => {
    const kernel = new MembershipKernel(1, options);
    const initialNames = [a, b, c];
    const order = join(initialNames, { initialNames });
    kernel.start(a, order);
    kernel.start(b, order);
    kernel.run(3000);
    kernel.crash(b);
    kernel.start(b, null);
    expect(kernel.node(b).disk.promisedFounder).toBe(kernel.node(a).disk.nodeId);
  });

  test('an initial node whose disk was wiped after the founding joins the ring and founds none', () => {
    const kernel = new MembershipKernel(1, options);
    const initialNames = [a, b, c];
    const order = join(initialNames, { initialNames });
    for (const name of initialNames) kernel.start(name, order);
    kernel.run(5000);
    kernel.wipe(a);
    kernel.start(a, order);
    expect(kernel.run(15_000, () => kernel.wrongPointers(initialNames).length === 0)).toBe(true);
    expect(kernel.clusters.size).toBe(1);
  });
});

describe('joining', () => {
  test('with no seed in time it fails with the reason', () => {
    const kernel = new MembershipKernel(1, options);
    kernel.start(a, join([b], { timeoutMs: 2000 }));
    kernel.run(4000);
    expect(kernel.node(a).outcome.joinFailure).toContain(b);
    expect(kernel.machine(a).state.kind).toBe('failed');
  });

  test('a joiner with another M is refused', () => {
    const kernel = ringOf(a, b);
    const other = new MembershipKernel(2, { ...options, ring: { ...ring, keyBits: 20 } });
    kernel.nodes.set(d, other.node(d));
    kernel.start(d, join([a]));
    kernel.run(kernel.nowMs + 3000);
    expect(kernel.node(d).outcome.joinFailure).toContain('M = 16');
  });

  test('a ring of one that never stored anything is given up for the seeds\' ring', () => {
    const kernel = ringOf(a, b);
    kernel.start(c, { kind: 'found' });
    kernel.run(kernel.nowMs + 1000);
    kernel.give(c, join([a], { whenMember: 'abandon', timeoutMs: 10_000 }));
    expect(kernel.run(kernel.nowMs + 5000, () => kernel.wrongPointers([a, b, c]).length === 0)).toBe(true);
    expect(kernel.node(c).outcome.joinFailure).toBeNull();
  });

  test('a node in a ring of its own that may not give it up is told so', () => {
    const kernel = ringOf(a, b);
    kernel.start(c, { kind: 'found' });
    kernel.run(kernel.nowMs + 1000);
    kernel.give(c, join([a], { whenMember: 'compare', timeoutMs: 10_000 }));
    kernel.run(kernel.nowMs + 3000);
    expect(kernel.node(c).outcome.joinFailure).toContain('in a ring already');
    expect(kernel.machine(c).state.kind).toBe('member');
  });

  test('joining the ring one is in already succeeds at once', () => {
    const kernel = ringOf(a, b);
    kernel.node(b).outcome.joined = false;
    kernel.give(b, join([a], { whenMember: 'compare', timeoutMs: 10_000 }));
    expect(kernel.run(kernel.nowMs + 1000, () => kernel.node(b).outcome.joined)).toBe(true);
    expect(epochOf(kernel, b)).toBe(epochOf(kernel, a));
  });

  test('a new nodeId under an existing name replaces the old one, which doesn\'t come back', () => {
    const kernel = ringOf(a, b, c, d);
    const old = kernel.node(d).disk;
    const oldTokens = kernel.machine(a).clusterView()?.layout.members.find((member) => member.nodeId === old.nodeId)?.tokens;
    kernel.wipe(d);
    kernel.start(d, join([a]));
    expect(kernel.run(kernel.nowMs + 10_000, () => kernel.wrongPointers([a, b, c, d]).length === 0 && kernel.node(d).outcome.joined)).toBe(true);
    const members = kernel.machine(a).clusterView()?.layout.members ?? [];
    expect(members.find((member) => member.name === d)?.tokens).toEqual(oldTokens);
    expect(members.some((member) => member.nodeId === old.nodeId)).toBe(false);
    kernel.crash(d);
    kernel.node(d).disk = old;
    kernel.start(d, join([a]));
    kernel.run(kernel.nowMs + 5000);
    expect(kernel.machine(d).state.kind).toBe('replaced');
    expect(kernel.machine(a).clusterView()?.layout.members).toEqual(members);
  });
});

describe('leaving', () => {
  test('the last member just stops and keeps its ring', () => {
    const kernel = ringOf(a);
    kernel.give(a, { kind: 'leave' });
    expect(kernel.node(a).outcome.left).toBe(true);
    expect(kernel.node(a).disk.layout).not.toBeNull();
  });

  test('two that leave at once: one hands over to the other, which then is the last', () => {
    const kernel = ringOf(a, b);
    kernel.give(a, { kind: 'leave' });
    kernel.give(b, { kind: 'leave' });
    expect(kernel.run(kernel.nowMs + 8000, () => kernel.node(a).outcome.left && kernel.node(b).outcome.left)).toBe(true);
  });

  test('a leaver stays until a majority of the newest voters has the layout without it', () => {
    const kernel = ringOf(a, b, c, d);
    kernel.give(d, { kind: 'leave' });
    const isOut = (): boolean => kernel.node(d).disk.layout?.members.every((member) => member.name !== d) === true;
    expect(kernel.run(kernel.nowMs + 5000, () => {
      if (!kernel.node(d).outcome.left) return false;
      const layout = kernel.node(d).disk.layout;
      const reported = [a, b, c].filter((name) => layout?.voters.includes(kernel.node(name).disk.nodeId) && (kernel.node(name).disk.layout?.epoch ?? 0) >= layout.epoch);
      expect(isOut()).toBe(true);
      expect(reported.length).toBeGreaterThan((layout?.voters.length ?? 0) / 2);
      return true;
    })).toBe(true);
  });

  test('a leaver that crashes on the way and returns goes on leaving', () => {
    const kernel = ringOf(a, b, c, d);
    kernel.give(d, { kind: 'leave' });
    expect(kernel.run(kernel.nowMs + 5000, () => kernel.node(d).disk.layout?.members.some((member) => member.name === d && member.state === 'leaving') === true)).toBe(true);
    kernel.crash(d);
    kernel.start(d, join([a]));
    expect(kernel.run(kernel.nowMs + 20_000, () => kernel.node(d).outcome.left)).toBe(true);
    expect(kernel.wrongPointers([a, b, c])).toEqual([]);
  });

  test('a leaver that an old wish to join brings back hands over and leaves once more', () => {
    const kernel = ringOf(a, b, c, d);
    kernel.give(d, { kind: 'leave' });
    expect(kernel.run(kernel.nowMs + 5000, () => kernel.node(d).outcome.left)).toBe(true);
    const { identity: from, disk: { nodeId } } = kernel.node(d);
    kernel.give(a, { kind: 'request', id: 1_000_000, from, epoch: 0, request: { kind: 'join', node: { nodeId, name: d, advertise: d }, zone: '', weight: 1, keyBits: ring.keyBits } });
    const isMemberFor = (name: string): boolean => kernel.node(name).disk.layout?.members.some((member) => member.name === d) === true;
    expect(kernel.run(kernel.nowMs + 5000, () => isMemberFor(a) && isMemberFor(d))).toBe(true);
    kernel.run(kernel.nowMs + 10);
    expect(kernel.machine(d).state.kind).toBe('leaving');
    expect(kernel.run(kernel.nowMs + 20_000, () => !isMemberFor(a) && kernel.machine(d).state.kind === 'left')).toBe(true);
    expect(kernel.run(kernel.nowMs + 5000, () => kernel.wrongPointers([a, b, c]).length === 0)).toBe(true);
  });

  test('a wish to leave that the network repeats after its sender has left and joined again takes nobody out', () => {
    const kernel = ringOf(a, b, c, d);
    const { identity: from, disk: { nodeId, layout } } = kernel.node(d);
    const epoch = layout?.epoch ?? 0;
    kernel.give(d, { kind: 'leave' });
    expect(kernel.run(kernel.nowMs + 5000, () => kernel.node(d).outcome.left)).toBe(true);
    kernel.crash(d);
    kernel.run(kernel.nowMs + 3000);
    kernel.start(d, join([a]));
    const isMember = (): boolean => kernel.node(a).disk.layout?.members.some((member) => member.name === d && member.state === 'member') === true;
    expect(kernel.run(kernel.nowMs + 5000, () => isMember() && kernel.wrongPointers([a, b, c, d]).length === 0)).toBe(true);
    for (const [i, name] of [a, b, c].entries()) kernel.give(name, { kind: 'request', id: 1_000_000 + i, from, epoch, request: { kind: 'leave', nodeId } });
    expect(kernel.run(kernel.nowMs + 5000, () => !isMember())).toBe(false);
  });

  test('a node that left may join again with the same disk', () => {
    const kernel = ringOf(a, b, c, d);
    kernel.give(d, { kind: 'leave' });
    kernel.run(kernel.nowMs + 5000, () => kernel.node(d).outcome.left);
    kernel.crash(d);
    kernel.run(kernel.nowMs + 3000);
    kernel.start(d, join([a]));
    expect(kernel.run(kernel.nowMs + 5000, () => kernel.wrongPointers([a, b, c, d]).length === 0 && kernel.node(d).outcome.joined)).toBe(true);
  });
});

describe('being away', () => {
  test('a node that was away during a change learns the newest layout when it returns', () => {
    const kernel = ringOf(a, b, c);
    kernel.crash(c);
    kernel.start(d, join([a]));
    kernel.run(kernel.nowMs + 8000, () => kernel.node(d).outcome.joined);
    kernel.start(c, join([a]));
    expect(kernel.run(kernel.nowMs + 3000, () => kernel.wrongPointers([a, b, c, d]).length === 0)).toBe(true);
  });

  test('a broken link makes a node avoid its neighbour, while nobody else does', () => {
    const kernel = ringOf(a, b, c, d);
    const neighbour = kernel.machine(a).clusterView()?.layout.members.find((member) => member.name === b)?.nodeId;
    kernel.cut(a, b);
    kernel.run(kernel.nowMs + 10_000);
    const avoiders = [a, b, c, d].filter((name) => neighbour !== undefined && kernel.machine(name).clusterView()?.unreachable.has(neighbour));
    expect(avoiders).toEqual([a]);
    kernel.cuts.clear();
    expect(kernel.run(kernel.nowMs + 1500, () => kernel.wrongPointers([a, b, c, d]).length === 0)).toBe(true);
  });

  test('without a majority of voters nothing changes, and everything goes on when they are back', () => {
    const kernel = ringOf(a, b, c);
    kernel.crash(b);
    kernel.crash(c);
    kernel.start(d, join([a]));
    kernel.run(kernel.nowMs + 15_000);
    expect(epochOf(kernel, d)).toBe(0);
    expect(kernel.machine(a).pendingMoves.joins).toEqual([d]);
    kernel.start(b, join([a]));
    kernel.start(c, join([a]));
    expect(kernel.run(kernel.nowMs + 10_000, () => kernel.wrongPointers([a, b, c, d]).length === 0)).toBe(true);
  });
});
