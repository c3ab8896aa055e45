/**
 * One node of the membership kernel: a disk that outlives it, and a Membership machine while it runs. Writes become
 * durable in order after a while; a crash keeps some first part of those under way, as a log does.
 */
import type { NodeId } from '../../domain/ids.ts';
import type { MonotonicMs } from '../../domain/instant.ts';
import type { Layout } from '../../domain/layout.ts';
import type { PeerIdentity } from '../../domain/peer-identity.ts';
import type { Position } from '../../domain/ring-position.ts';
import { EMPTY_SLOT, type LayoutSlot } from '../../layout/chain-acceptor.ts';
import { Membership } from '../../membership/membership.ts';
import type { MembershipEffect } from '../../membership/membership-effect.ts';
import type { MembershipTimes } from '../../membership/membership-options.ts';
import type { TokenAllocationOptions } from '../../ring/token-allocation.ts';
import type { SimRandom } from '../sim-random.ts';

export interface KernelDisk {
  readonly nodeId: NodeId;
  boot: number;
  layout: Layout | null;
  slot: LayoutSlot;
  caught: ReadonlySet<Position>;
  promisedFounder: NodeId | null;
}

export type WriteEffect = Extract<MembershipEffect, { kind: 'adopt' | 'save-slot' | 'save-founder' | 'abandon' }>;

export interface KernelOutcome {
  joined: boolean;
  joinFailure: string | null;
  left: boolean;
  /** 'recovered', or why not; null: not asked. */
  recovery: string | null;
}

export class MembershipKernelNode {
  readonly name: string;
  readonly #random: SimRandom;
  readonly #ring: TokenAllocationOptions;
  readonly #times: MembershipTimes;
  readonly #asksToFound: boolean;
  #wipes = 0;
  disk: KernelDisk;
  machine: Membership | null = null;
  /** Grows with each crash, so that what belongs to an older life is dropped. */
  life = 0;
  writes: WriteEffect[] = [];
  writeDoneAtMs = 0;
  outcome: KernelOutcome = { joined: false, joinFailure: null, left: false, recovery: null };

  constructor(name: string, random: SimRandom, ring: TokenAllocationOptions, times: MembershipTimes, asksToFound: boolean) {
    this.name = name;
    this.#random = random;
    this.#ring = ring;
    this.#times = times;
    this.#asksToFound = asksToFound;
    this.disk = this.#newDisk();
  }

  get identity(): PeerIdentity {
    return { nodeId: this.disk.nodeId, name: this.name, advertise: this.name, incarnation: this.disk.boot };
  }

  start(now: MonotonicMs): void {
    this.disk.boot += 1;
    this.outcome = { joined: false, joinFailure: null, left: false, recovery: null };
    const { nodeId, boot, layout, slot, caught, promisedFounder } = this.disk;
    this.machine = new Membership(
      { random: this.#random.fork(`boot-${this.#wipes}-${boot}`), now, durable: { layout, slot, caught, promisedFounder } },
      { self: { nodeId, name: this.name, advertise: this.name }, boot, zone: '', weight: 1, ring: this.#ring, asksToFound: this.#asksToFound, times: this.#times },
    );
  }

  crash(): void {
    this.machine = null;
    this.life += 1;
    const kept = this.#random.below(this.writes.length + 1);
    for (const write of this.writes.slice(0, kept)) this.apply(write);
    this.writes = [];
    this.writeDoneAtMs = 0;
  }

  wipe(): void {
    this.#wipes += 1;
    this.disk = this.#newDisk();
  }

  apply(write: WriteEffect): void {
    const { disk } = this;
    switch (write.kind) {
      case 'adopt':
        disk.layout = write.layout;
        disk.slot = EMPTY_SLOT;
        disk.caught = new Set();
        return;
      case 'save-slot':
        disk.slot = write.slot;
        return;
      case 'save-founder':
        disk.promisedFounder = write.founder;
        return;
      case 'abandon':
        disk.layout = null;
        disk.slot = EMPTY_SLOT;
        return;
    }
  }

  #newDisk(): KernelDisk {
    const nodeId = this.#random.fork(`disk-${this.#wipes}`).hex(16) as NodeId;
    return { nodeId, boot: 0, layout: null, slot: EMPTY_SLOT, caught: new Set(), promisedFounder: null };
  }
}
