/**
 * One machine with a hand on each of its messages and writes: orders of events that a ring of machines meets too rarely for
 * a random run to depend on.
 */
import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { ClusterId, NodeId } from '../../../src/domain/ids.ts';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { EMPTY_SLOT } from '../../../src/layout/chain-acceptor.ts';
import { foundingLayout } from '../../../src/layout/founding-layout.ts';
import { nextLayout } from '../../../src/layout/next-layout.ts';
import { Membership } from '../../../src/membership/membership.ts';
import type { MembershipEffect } from '../../../src/membership/membership-effect.ts';
import type { MembershipEvent, MembershipRequest } from '../../../src/membership/membership-event.ts';
import { MEMBERSHIP_TIMES, type DurableState } from '../../../src/membership/membership-options.ts';
import type { PeerReply, WhoAreYouReply } from '../../../src/protocol/message.ts';
import { SimRandom } from '../../../src/sim/sim-random.ts';
import { joinerOf, nodeIdOf } from '../ring/ring-fixture.ts';

const RING = { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 };
const NAMES = ['a:1', 'b:1', 'c:1'] as const;
const NEW_DISK: DurableState = { layout: null, slot: EMPTY_SLOT, caught: new Set(), promisedFounder: null };

const idOf = (name: string): NodeId => nodeIdOf(`disk of ${name}`);
const refOf = (name: string) => ({ nodeId: idOf(name), name, advertise: name });
const layoutOf = (founder: string): Layout => foundingLayout({
  ...RING, clusterId: idOf(founder) as unknown as ClusterId, members: NAMES.map((name) => joinerOf(name, '', idOf(name))),
});

class Machine {
  readonly #membership: Membership;
  #now = 0;
  #requests = 0;
  /** What it has wanted done, oldest first. */
  effects: MembershipEffect[] = [];

  constructor(name: string, durable: DurableState = NEW_DISK) {
    this.#membership = new Membership(
      { random: new SimRandom('one machine'), durable, now: 0 as MonotonicMs },
      { self: refOf(name), boot: 1, zone: '', weight: 1, ring: RING, asksToFound: false, times: MEMBERSHIP_TIMES },
    );
  }

  step(event: MembershipEvent): void {
    this.effects.push(...this.#membership.step(event, this.#now as MonotonicMs));
  }

  tick(ms = 600): void {
    this.#now += ms;
    this.step({ kind: 'tick', position: 0 });
  }

  /** A request of another node; returns its id. */
  request(from: string, request: MembershipRequest, epoch = 0): number {
    const id = ++this.#requests;
    this.step({ kind: 'request', id, from: { ...refOf(from), incarnation: 1 }, epoch, request });
    return id;
  }

  replyTo(id: number): PeerReply | null {
    return this.effects.flatMap((effect) => (effect.kind === 'reply' && effect.id === id ? [effect.reply] : []))[0] ?? null;
  }

  writes(kind: 'save-slot' | 'save-founder' | 'adopt'): readonly Extract<MembershipEffect, { kind: 'save-slot' | 'save-founder' | 'adopt' }>[] {
    return this.effects.flatMap((effect) => (effect.kind === kind ? [effect] : []));
  }

  /** All writes so far become durable. */
  persist(): void {
    const writes = [...this.writes('save-slot'), ...this.writes('save-founder'), ...this.writes('adopt')].sort((x, y) => x.tag - y.tag);
    this.effects = this.effects.filter((effect) => !writes.some((write) => write === effect));
    for (const { tag } of writes) this.step({ kind: 'persisted', tag });
  }

  /** Answers every who-are-you as told; others stay unanswered. */
  introduce(promised: NodeId | null): void {
    const asked = this.effects.filter((effect) => effect.kind === 'send' && effect.request.kind === 'who-are-you');
    this.effects = this.effects.filter((effect) => !asked.includes(effect));
    for (const effect of asked) {
      if (effect.kind !== 'send') continue;
      const name = effect.target.advertise;
      const reply: WhoAreYouReply = {
        kind: 'who-are-you-reply', from: refOf(name), state: 'empty', clusterId: null, promisedFounder: promised, zone: '', weight: 1, keyBits: RING.keyBits,
      };
      this.step({ kind: 'reply', tag: effect.tag, from: idOf(name), reply });
    }
  }

  get epoch(): number {
    return this.#membership.clusterView()?.layout.epoch ?? 0;
  }
}

const FOUNDING: MembershipEvent = { kind: 'join', seeds: NAMES, initialNames: NAMES, whenMember: 'stay', timeoutMs: null };

describe('a voter', () => {
  const layout = layoutOf('a:1');
  const voter = (): Machine => new Machine('b:1', { ...NEW_DISK, layout });
  const ballot = { epoch: 2, hlc: 7, nodeId: idOf('a:1') };
  const value = nextLayout(layout, {
    joins: [joinerOf('d:1', '', idOf('d:1'))], leaves: new Set(), outs: new Set(), live: new Set([...NAMES, 'd:1'].map(idOf)), seen: new Map(), caught: new Map(), layoutAgeMs: 0, caughtForMs: 0,
  }, { abortAfterMs: 1, settleMs: 1 }) as Layout;

  test.each(['layout-prepare', 'layout-accept'] as const)('answers %s when its vote is durable, not before', (kind) => {
    const machine = voter();
    const id = machine.request('a:1', kind === 'layout-prepare' ? { kind, layout, ballot } : { kind, layout, ballot, value });
    expect(machine.writes('save-slot')).toHaveLength(1);
    machine.tick();
    expect(machine.replyTo(id)).toBeNull();
    machine.persist();
    expect(machine.replyTo(id)).toMatchObject({ kind: `${kind}-reply`, promised: ballot });
  });

  test('refuses a lower ballot only after the promise that forbids it is durable', () => {
    const machine = voter();
    machine.request('a:1', { kind: 'layout-prepare', layout, ballot });
    const id = machine.request('c:1', { kind: 'layout-prepare', layout, ballot: { ...ballot, hlc: 3 } });
    expect(machine.replyTo(id)).toBeNull();
    machine.persist();
    expect(machine.replyTo(id)).toMatchObject({ kind: 'layout-prepare-reply', state: 'refused' });
  });

  test('gives no vote for a while after it promised a recovery', () => {
    const machine = voter();
    expect(machine.replyTo(machine.request('a:1', { kind: 'recover-prepare', layout, ballot, lost: [] }))).toMatchObject({ state: 'promised' });
    expect(machine.replyTo(machine.request('c:1', { kind: 'layout-prepare', layout, ballot: { ...ballot, hlc: 9 } }))).toMatchObject({ kind: 'fault' });
    machine.tick(MEMBERSHIP_TIMES.recoverFenceMs);
    const id = machine.request('c:1', { kind: 'layout-prepare', layout, ballot: { ...ballot, hlc: 10 } });
    machine.persist();
    expect(machine.replyTo(id)).toMatchObject({ state: 'promised' });
  });

  test('takes no recovery of a ballot that it did not promise last', () => {
    const machine = voter();
    const shown = { ...layout, epoch: 99, recoveries: [{ epoch: 99, fromEpoch: 1, atMs: 0, by: 'a:1', lost: [] }] };
    expect(machine.replyTo(machine.request('a:1', { kind: 'recover-adopt', layout: shown, ballot }))).toMatchObject({ state: 'refused' });
    machine.request('a:1', { kind: 'recover-prepare', layout, ballot, lost: [] });
    machine.request('c:1', { kind: 'recover-prepare', layout, ballot: { ...ballot, hlc: 8 }, lost: [] });
    expect(machine.replyTo(machine.request('a:1', { kind: 'recover-adopt', layout: shown, ballot }))).toMatchObject({ state: 'refused' });
    expect(machine.writes('adopt')).toEqual([]);
  });
});

describe('founding', () => {
  test('the founder waits until all empty nodes have promised to follow it', () => {
    const machine = new Machine('a:1');
    machine.step(FOUNDING);
    for (const promised of [null, idOf('x:1'), null]) {
      machine.introduce(promised);
      machine.persist();
      expect(machine.epoch).toBe(0);
      expect(machine.writes('adopt')).toEqual([]);
      machine.tick();
    }
    machine.introduce(idOf('a:1'));
    machine.persist();
    expect(machine.epoch).toBe(1);
  });

  test('a promise is told only when it is durable', () => {
    const machine = new Machine('b:1');
    machine.step(FOUNDING);
    machine.introduce(null);
    expect(machine.writes('save-founder')).toHaveLength(1);
    const id = machine.request('a:1', { kind: 'who-are-you', from: refOf('a:1') });
    expect(machine.replyTo(id)).toBeNull();
    machine.persist();
    expect(machine.replyTo(id)).toMatchObject({ promisedFounder: idOf('a:1') });
  });

  test('a promised node takes its first layout of the founder\'s ring, and of no other that names it', () => {
    const machine = new Machine('b:1', { ...NEW_DISK, promisedFounder: idOf('a:1') });
    machine.step(FOUNDING);
    machine.request('c:1', { kind: 'layout-announce', layout: layoutOf('c:1') });
    machine.request('c:1', { kind: 'layout-prepare', layout: layoutOf('c:1'), ballot: { ...ZERO_BALLOT, epoch: 2, hlc: 1 } });
    machine.persist();
    expect(machine.epoch).toBe(0);
    machine.request('c:1', { kind: 'layout-announce', layout: layoutOf('a:1') });
    machine.persist();
    expect(machine.epoch).toBe(1);
  });
});
