/**
 * Failure watch: pings the next nodes of the ring, asks others before it accuses, and spreads what it finds.
 *
 * Each node pings its next three reachable ones (and those in between that aren't, so that their return is noticed). What
 * one node finds reaches all by gossip that rides on pings (see gossip.ts): to three random nodes as soon as there is news,
 * then every gossip interval, and with each detector ping.
 *
 * Cost: 3 pings a period and node.
 * Source: [SWIM] "SWIM Failure Detector"; [Lifeguard] "Local Health Aware Probe"; protocol A.5, A.6.
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { LayoutMember } from '../domain/layout.ts';
import { LocalHealth } from '../liveness/local-health.ts';
import { PingDetector } from '../liveness/ping-detector.ts';
import type { Random } from '../ports/random.ts';
import type { BootPosition, DiskHealth, NodeHealth, NodeRef, PingRequest, ProbeRequest } from '../protocol/message.ts';
import type { Strain } from '../ring/cluster-view.ts';
import { pointers } from '../ring/pointers.ts';
import { Contacts } from './contacts.ts';
import type { Answer, Exchange } from './exchange.ts';
import { Gossip } from './gossip.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MemberTable } from './member-table.ts';
import { probeResult, type MembershipNotes, type PeerSuspicion } from './membership-notes.ts';
import type { MembershipTimes } from './membership-options.ts';
import { PeerStrain } from './peer-strain.ts';
import { watchedMembers } from './watched-members.ts';

/** Nodes told directly of a planned stop. */
const FAREWELLS_MAX = 16;

export interface FailureWatchDeps {
  readonly self: NodeRef;
  readonly boot: number;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly table: MemberTable;
  readonly random: Random;
  readonly times: MembershipTimes;
  readonly notes: MembershipNotes;
}

export type MemberLiveness = 'alive' | 'restarting' | 'suspect' | 'down' | 'unknown';

export class FailureWatch {
  readonly #deps: FailureWatchDeps;
  readonly #detector: PingDetector;
  readonly #health: LocalHealth;
  readonly #gossip: Gossip;
  readonly #contacts = new Contacts();
  #position = 0;
  #loopDelayMs = 0;
  #disk: DiskHealth = { diskUsed: 0, space: 'ample', isDiskSlow: false };
  readonly #strain = new PeerStrain();
  #lastGossip: MonotonicMs | null = null;
  #unreachable: ReadonlySet<NodeId> = new Set();

  constructor(deps: FailureWatchDeps) {
    this.#deps = deps;
    const { times } = deps;
    this.#detector = new PingDetector({ periodMs: times.pingPeriodMs, missesMax: times.pingMissesMax, probeAfterMisses: times.probeAfterMisses });
    this.#health = new LocalHealth({ tickMs: times.tickMs, periodMs: times.pingPeriodMs });
    this.#gossip = new Gossip({ ...deps, retransmitMultiplier: times.retransmitMultiplier }, {
      onRenewed: (nodeId) => { this.#detector.renewed(nodeId); },
      onRefuted: (nodeId) => { this.#detector.refuted(nodeId); },
      onAccused: () => { this.#health.wasAccused(); },
    });
  }

  // ------------------------------------------------------------------------------------------------- what it knows

  /** Nodes avoided here and now; the same value as long as nothing changes. */
  get unreachable(): ReadonlySet<NodeId> {
    return this.#unreachable;
  }

  get incarnation(): number {
    return this.#gossip.incarnation;
  }

  /** Whether the ring, as known here, holds this node for up: a bad link of this node alone doesn't count. */
  isUp(nodeId: NodeId): boolean {
    if (nodeId === this.#deps.self.nodeId) return true;
    const verdict = this.#detector.verdict(nodeId);
    return this.#deps.table.state(nodeId) === 'alive' && (verdict === 'up' || verdict === 'link-bad');
  }

  liveness(nodeId: NodeId): MemberLiveness {
    if (nodeId === this.#deps.self.nodeId) return this.#gossip.selfState === 'restarting' ? 'restarting' : 'alive';
    const state = this.#deps.table.state(nodeId);
    if (state === null) return 'unknown';
    if (state === 'left') return 'down';
    return state === 'alive' && this.#detector.verdict(nodeId) !== 'up' ? 'suspect' : state;
  }

  /** How much this node distrusts its own measurements: 0 to 8. */
  get awareness(): number {
    return this.#health.awareness;
  }

  /** Pieces of news that this node still has to pass on. */
  get newsWaiting(): number {
    return this.#gossip.waiting;
  }

  /** Of all other members. */
  get suspicions(): readonly PeerSuspicion[] {
    const { table, times } = this.#deps;
    return table.others.map((nodeId) => {
      const state = table.state(nodeId);
      const level = state === 'down' || state === 'left' ? 2 : state === 'suspect' ? 1 : Math.min(1, this.#detector.misses(nodeId) / times.pingMissesMax);
      return { nodeId, level, heardAt: this.#contacts.heardAt(nodeId) };
    });
  }

  // ----------------------------------------------------------------------------------------------------- its work

  tick(position: number, now: MonotonicMs): void {
    this.#position = position;
    if (this.#health.tick(now)) this.#detector.stalled(now);
    this.#strain.forgetOld(now);
    const { keeper, self, times } = this.#deps;
    const watched = keeper.layout === null ? [] : watchedMembers(keeper.layout, self.nodeId, this.#unreachable, times.watchedMax).map((member) => member.nodeId);
    this.#detector.watch(watched);
    this.#contacts.watch(watched, now);
    for (const nodeId of this.#detector.takeDue(now)) this.#pingWatched(nodeId, now);
    this.#accuseSilent(now);
    this.#deps.table.countDownTime(now);
    for (const nodeId of this.#deps.table.expireSuspicions(now)) this.#gossip.warnOf(nodeId, 'a member is down');
  }

  /** At the end of each step: passes news on, and brings `unreachable` up to date. */
  flush(now: MonotonicMs): void {
    this.#refreshUnreachable(now);
    if (this.#gossip.waiting === 0 || (this.#lastGossip !== null && elapsedMs(this.#lastGossip, now) < this.#deps.times.gossipIntervalMs)) return;
    this.#lastGossip = now;
    for (const nodeId of this.#someOthers(this.#deps.times.fanOut, null)) this.#tell(nodeId);
  }

  /** Whose disks are strained; the same value as long as nothing changes. */
  get strain(): Strain {
    return this.#strain.current;
  }

  healthSample(loopDelayMs: number, disk: DiskHealth, now: MonotonicMs): void {
    this.#loopDelayMs = loopDelayMs;
    this.#disk = disk;
    this.#strain.heard(this.#deps.self.nodeId, disk, now);
    if (this.#health.loopDelay(loopDelayMs, now)) this.#detector.stalled(now);
  }

  /** There may be members that never heard of this node: it is news itself. */
  layoutChanged(): void {
    this.#contacts.keep((nodeId) => this.#deps.table.state(nodeId) !== null);
    this.#gossip.pushSelf();
  }

  /** Tells the neighbours that this node stops, for a restart or for good. */
  farewell(state: 'restarting' | 'left'): void {
    this.#gossip.goes(state);
    for (const nodeId of this.#someOthers(FAREWELLS_MAX, null)) this.#tell(nodeId);
  }

  /** One ping outside the detector: to the successor of a node that isn't a member yet. */
  ping(target: PeerTarget, then: (answer: Answer<'ping'>, now: MonotonicMs) => void): void {
    const timeoutMs = this.#deps.times.pingTimeoutMs * this.#health.timeoutFactor;
    this.#deps.exchange.ask<'ping'>(target, this.#pingRequest(target.nodeId), timeoutMs, (answer, now) => {
      if (answer.kind === 'reply') {
        this.#remember(answer.reply.from.nodeId, answer.reply.boot);
        this.#strain.heard(answer.reply.from.nodeId, answer.reply.health, now);
        this.#heardFrom(answer.reply.from.nodeId, now);
        this.#gossip.hear(answer.reply.gossip, now);
      }
      then(answer, now);
    });
  }

  servePing(id: number, request: PingRequest, now: MonotonicMs): void {
    const { exchange, keeper, self } = this.#deps;
    this.#remember(request.from.nodeId, request.boot);
    this.#strain.heard(request.from.nodeId, request.health, now);
    this.#heardFrom(request.from.nodeId, now);
    const corrections = this.#gossip.hear(request.gossip, now);
    this.#refreshUnreachable(now);
    const here = keeper.layout === null ? null : pointers(keeper.layout, self.nodeId, this.#unreachable);
    exchange.emit({
      kind: 'reply', id,
      reply: {
        kind: 'ping-reply', from: self, boot: this.#bootPosition(), health: this.#nodeHealth(),
        predecessor: here === null ? null : refOf(here.predecessor),
        successors: here === null ? [] : here.successors.map(refOf),
        gossip: this.#gossip.entriesFor(request.from.nodeId, corrections),
      },
    });
  }

  serveProbe(id: number, request: ProbeRequest): void {
    const { exchange, times } = this.#deps;
    exchange.ask<'ping'>(request.target, this.#pingRequest(request.target.nodeId), times.probeTimeoutMs, (answer, now) => {
      if (answer.kind === 'reply') this.#gossip.hear(answer.reply.gossip, now);
      exchange.emit({ kind: 'reply', id, reply: { kind: 'probe-reply', isAnswered: answer.kind === 'reply' } });
    });
  }

  // ------------------------------------------------------------------------------------------------------- pinging

  #pingWatched(nodeId: NodeId, sentAt: MonotonicMs): void {
    const { notes, table } = this.#deps;
    const target = table.ref(nodeId);
    if (target === null) return;
    this.ping(target, (answer, now) => {
      notes.probed('direct', probeResult(answer, answer.kind === 'reply'), elapsedMs(sentAt, now));
      if (answer.kind === 'reply') {
        this.#detector.answered(nodeId);
        return;
      }
      const probeRound = this.#detector.missed(nodeId, sentAt);
      if (probeRound !== null) this.#probe(nodeId, target, probeRound, now);
      this.#accuseSilent(now);
    });
  }

  #probe(nodeId: NodeId, target: NodeRef, round: number, sentAt: MonotonicMs): void {
    const { exchange, notes, table, times } = this.#deps;
    const probers = this.#someOthers(times.fanOut, nodeId);
    let waiting = probers.length;
    if (waiting === 0) this.#detector.probed(nodeId, round, false);
    for (const prober of probers) {
      const ref = table.ref(prober);
      if (ref === null) continue;
      exchange.ask<'probe'>(ref, { kind: 'probe', target }, times.pingTimeoutMs * this.#health.timeoutFactor, (answer, now) => {
        waiting -= 1;
        notes.probed('indirect', probeResult(answer, answer.kind === 'reply' && answer.reply.isAnswered), elapsedMs(sentAt, now));
        if (answer.kind === 'reply' && answer.reply.isAnswered) this.#detector.probed(nodeId, round, true);
        else if (waiting === 0) this.#detector.probed(nodeId, round, false);
        this.#accuseSilent(now);
      });
    }
  }

  #accuseSilent(now: MonotonicMs): void {
    if (!this.#health.mayAccuse(now)) return;
    for (const nodeId of this.#detector.watched) {
      if (this.#detector.verdict(nodeId) !== 'silent' || !this.#deps.table.accuse(nodeId, now)) continue;
      this.#gossip.warnOf(nodeId, 'a member does not answer');
    }
  }

  // -------------------------------------------------------------------------------------------------------- gossip

  #tell(nodeId: NodeId): void {
    const target = this.#deps.table.ref(nodeId);
    if (target !== null) this.ping(target, () => undefined);
  }

  #pingRequest(to: NodeId | null): PingRequest {
    return { kind: 'ping', from: this.#deps.self, boot: this.#bootPosition(), health: this.#nodeHealth(), gossip: this.#gossip.entriesFor(to, []) };
  }

  /** Up to `count` random reachable members, without this node and `except`. */
  #someOthers(count: number, except: NodeId | null): readonly NodeId[] {
    const pool = this.#deps.table.others.filter((nodeId) => nodeId !== except && !this.#unreachable.has(nodeId));
    const picked: NodeId[] = [];
    while (picked.length < count && pool.length > 0) picked.push(...pool.splice(this.#deps.random.below(pool.length), 1));
    return picked;
  }

  #heardFrom(nodeId: NodeId, now: MonotonicMs): void {
    if (this.#deps.table.state(nodeId) !== null) this.#contacts.heard(nodeId, now);
  }

  #refreshUnreachable(now: MonotonicMs): void {
    const { table } = this.#deps;
    const present = table.others.filter((nodeId) => table.state(nodeId) !== 'alive' || this.#detector.verdict(nodeId) !== 'up');
    const added = present.filter((nodeId) => !this.#unreachable.has(nodeId));
    if (added.length === 0 && present.length === this.#unreachable.size) return;
    this.#unreachable = new Set(present);
    for (const nodeId of added) this.#noteDetection(nodeId, now);
  }

  /** One that announced its end was not detected. */
  #noteDetection(nodeId: NodeId, now: MonotonicMs): void {
    const state = this.#deps.table.state(nodeId);
    const silentMs = this.#contacts.silenceMs(nodeId, now);
    if (silentMs !== null && state !== 'restarting' && state !== 'left') this.#deps.notes.detected(silentMs);
  }

  #remember(peer: NodeId, { boot, position }: BootPosition): void {
    this.#deps.exchange.emit({ kind: 'remember', peer, boot, position });
  }

  #bootPosition(): BootPosition {
    return { boot: this.#deps.boot, position: this.#position };
  }

  #nodeHealth(): NodeHealth {
    return { awareness: this.#health.awareness, loopDelayMs: this.#loopDelayMs, ...this.#disk };
  }
}

function refOf({ nodeId, name, advertise }: LayoutMember): NodeRef {
  return { nodeId, name, advertise };
}
