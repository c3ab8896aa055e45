/**
 * One DHT node: wires store, membership, replication and repair together and gives the edges one thing to talk to. It
 * holds no protocol rule of its own; it owns the life cycle:
 *
 * ```
 *   start: open store (identity and boot are fsynced) -> listen -> tick
 *     empty store:  found, or join through the seeds -> member -> serving
 *     with a layout: a majority confirms the recovered log (R16) -> serving, catch up what was missed
 *   leave: a layout without this node -> all receipts (R15) -> farewell -> ended: left
 *   stop:  peers are told of a planned restart -> ended: stopped
 *   the disk fails, or the log turns out to have lost acknowledged state -> ended: failed, identity-lost
 * ```
 */
import { hash } from 'node:crypto';
import { DhtError, type ErrorCode } from '../domain/error-catalogue.ts';
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { assertLimits, FILES_PAGE_MAX, OPERATION_DEADLINE_MS } from '../domain/limits.ts';
import { parseAddress, type NodeAddress } from '../domain/node-address.ts';
import { ringSize } from '../domain/ring-position.ts';
import type { JoinAttempt } from '../membership/membership-notes.ts';
import type { Timer } from '../ports/clock.ts';
import type { DiskHealth } from '../protocol/message.ts';
import { hasher, nodeKey } from '../ring/hasher.ts';
import { NO_STRAIN } from '../ring/cluster-view.ts';
import { effectiveReplicas, memberById } from '../ring/placement.ts';
import { pointers } from '../ring/pointers.ts';
import { renewIdentity } from '../storage/identity-renewal.ts';
import { addressView } from './address-view.ts';
import { EventLog } from './event-log.ts';
import { explain } from './explain.ts';
import { filesPage } from './files-listing.ts';
import { assembleNode, nodeDirectory, type NodeParts } from './node-assembly.ts';
import { registerNodeMetrics, type NodeCounters } from './node-metrics.ts';
import type { NodeDeps, NodeEnd, NodeOptions } from './node-options.ts';
import type {
  ExplainView, FilesPage, HealthView, JoinOutcome, LeaveOutcome, Liveness, NodeService, NodeState, NodeView, ObjectService, RecoverOutcome, RepairView, RingEventSource, RingView, StorageView,
} from './node-service.ts';
import type { NodeStateStore, RegisterStore } from '../storage/register-store.ts';
import { registerFailureDetectorMetrics, type SuspicionView } from './failure-detector-metrics.ts';
import { RingProgressMetrics } from './ring-progress-metrics.ts';
import { registerRingVerdictMetrics } from './ring-verdict-metrics.ts';
import { registerUpkeepMetrics, upkeepText } from './upkeep-metrics.ts';
import { RepairMetrics } from './repair-metrics.ts';
import { repairReport } from './repair-report.ts';
import { NO_LOOK, ringChanges, type RingLook } from './ring-events.ts';
import { isLive, ringReport } from './ring-report.ts';
import { storageView } from './storage-view.ts';

/** Milliseconds beyond the join's own time-out after which its caller is answered anyway. */
const JOIN_GRACE_MS = 2_000;
/** Milliseconds between two looks at the node's own health and at what it may have missed. */
const WATCH_MS = 1_000;

export class DhtNode implements NodeService {
  readonly #deps: NodeDeps;
  readonly #options: NodeOptions;
  readonly #address: NodeAddress;
  readonly #parts: NodeParts;
  readonly #counters: NodeCounters;
  readonly #ringProgress: RingProgressMetrics;
  readonly objects: ObjectService;
  readonly #events: EventLog;
  #look: RingLook = NO_LOOK;
  /** Resolves once, when the node is no more. */
  readonly ended: Promise<NodeEnd>;
  #resolveEnded: (end: NodeEnd) => void = () => {};
  #end: NodeEnd | null = null;
  #stopped: Promise<void> | null = null;
  #ports: { readonly httpPort: number | null; readonly adminPort: number | null } = { httpPort: null, adminPort: null };
  #recoverWaiter: ((outcome: RecoverOutcome) => void) | null = null;
  #joinWaiters: ((outcome: JoinOutcome) => void)[] = [];
  #isLeaving = false;
  #watch: Timer | null = null;
  #watchedAt: MonotonicMs;
  #wasCutOff = false;

  private constructor(deps: NodeDeps, options: NodeOptions, address: NodeAddress, parts: NodeParts, counters: NodeCounters, ringProgress: RingProgressMetrics) {
    this.#deps = deps;
    this.#options = options;
    this.#address = address;
    this.#parts = parts;
    this.#counters = counters;
    this.#ringProgress = ringProgress;
    this.#watchedAt = deps.clock.monotonicNow();
    this.#events = new EventLog(parts.store.incarnation);
    this.ended = new Promise((resolve) => { this.#resolveEnded = resolve; });
    this.objects = {
      put: (request) => this.#whenServing() ?? this.#timed(parts.coordinator.put(request)),
      putStream: (request) => this.#whenServing() ?? parts.coordinator.putStream(request),
      get: (request) => this.#whenReadable() ?? this.#timed(parts.coordinator.get(request)),
      delete: (request) => this.#whenServing() ?? this.#timed(parts.coordinator.delete(request)),
      list: async (request) => {
        const refusal = await this.#whenServing();
        return refusal === null ? parts.coordinator.list(request) : { ...refusal, kind: 'failed' };
      },
    };
  }

  /**
   * Opens the store, listens, and begins to join (or to come back). Rejects with a DhtError when it can't start: foreign,
   * newer, damaged or used data directory, port in use. Ready later: see `readiness`.
   */
  static async start(deps: NodeDeps, options: NodeOptions): Promise<DhtNode> {
    assertLimits();
    const events: NodeEvents = { onEnd: () => {}, onLayout: () => {}, onView: () => {}, onJoined: () => {}, onJoinFailed: () => {}, onLeft: () => {}, onRecovered: () => {}, onReleased: () => {} };
    const source: { node: DhtNode | null } = { node: null };
    const repair = new RepairMetrics(deps.meter, deps.clock.wallNow(), () => source.node?.repair() ?? null);
    registerUpkeepMetrics(deps.meter, () => (source.node === null ? null : source.node.#parts.store.upkeep()));
    registerRingVerdictMetrics(deps.meter, () => (source.node === null ? null : { nodeId: source.node.view().nodeId, ring: source.node.ring() }));
    const progress = new RingProgressMetrics(deps.meter, deps.clock, () => (source.node === null ? null : source.node.#parts.driver.current()));
    const membership = {
      ...registerFailureDetectorMetrics(deps.meter, { isPerPeer: options.metricsPerPeer }, () => (source.node === null ? null : source.node.#suspicionView())),
      joinAttempted: (result: JoinAttempt): void => { progress.attempted(result); },
    };
    const counters = registerNodeMetrics(deps.meter, {
      view: () => source.node?.view() ?? null, ring: () => source.node?.ring() ?? null, totals: () => source.node?.store.totals() ?? null, diskUsedBytes: () => (source.node === null ? 0 : source.node.#parts.store.diskBytes()), repair, membership,
      space: () => source.node?.view().storage ?? null, startedAtMs: deps.clock.wallNow(),
    });
    const { address, parts } = await assembleNode(deps, options, counters, events);
    const node = new DhtNode(deps, options, address, parts, counters, progress);
    source.node = node;
    events.onEnd = (end) => { node.#finish(end); };
    events.onLayout = (layout) => { node.#onLayout(layout); };
    events.onView = () => { node.#lookAtRing(); };
    events.onJoined = () => { node.#settleJoin({ kind: 'joined' }); };
    events.onJoinFailed = (code, detail) => { node.#settleJoin({ kind: 'failed', code, detail }); };
    // Also a leave that an earlier process life began ends here.
    events.onLeft = () => { node.#isLeaving = true; node.#finishLeave(); };
    events.onRecovered = (outcome) => { node.#settleRecover(outcome); };
    events.onReleased = () => { node.#finishLeave(); };
    node.#begin();
    return node;
  }

  #begin(): void {
    const { driver, store, confirmation, catchUp, antiEntropy, keyRepair, release } = this.#parts;
    const { join, bootstrapExpect, isJoinOff } = this.#options;
    driver.start();
    confirmation.start();
    this.#parts.scrub.start();
    const layout = store.layout();
    if (layout === null && store.rejoin.length > 0) {
      driver.dispatch({ kind: 'join', seeds: [...store.rejoin, ...join], initialNames: [], whenMember: 'stay', timeoutMs: null });
    } else if (join.length > 0) {
      driver.dispatch({ kind: 'join', seeds: join, initialNames: join.slice(0, bootstrapExpect), whenMember: 'stay', timeoutMs: null });
    } else if (layout === null && !isJoinOff) {
      driver.dispatch({ kind: 'found' });
    }
    if (layout !== null) {
      catchUp.onLayout(layout);
      antiEntropy.onLayout(layout);
      antiEntropy.returned();
      // What the process before still held of other owners.
      release.onLayout(layout);
      void keyRepair.scanBodies();
    }
    this.#watchedAt = this.#deps.clock.monotonicNow();
    this.#watchLater();
  }

  // ------------------------------------------------------------------------------------------------ what it shows

  /** What this node holds: for the checkers of the simulator. */
  get store(): RegisterStore & NodeStateStore {
    return this.#parts.store;
  }

  /** What happened to the ring since this process began. */
  get events(): RingEventSource {
    return this.#events;
  }

  view(): NodeView {
    const { store } = this.#parts;
    const { keyBits } = this.#options.ring;
    const view = this.#parts.driver.current();
    const around = view === null ? null : pointers(view.layout, view.self, view.unreachable);
    const { state, detail } = this.#state();
    return {
      host: this.#address.host,
      port: this.#address.port,
      httpPort: this.#ports.httpPort,
      adminPort: this.#ports.adminPort,
      M: keyBits,
      N: ringSize(keyBits),
      key: nodeKey(this.#address, keyBits),
      nodeId: store.nodeId,
      protocolMin: this.#options.versions.min,
      protocolMax: this.#options.versions.max,
      clusterId: view?.layout.clusterId ?? null,
      incarnation: store.incarnation,
      state,
      stateDetail: detail,
      epoch: view?.layout.epoch ?? 0,
      successor: around === null ? null : addressView(around.successor),
      predecessor: around === null ? null : addressView(around.predecessor),
      successors: around === null ? [] : around.successors.map(addressView),
      replicationFactor: view === null ? 0 : effectiveReplicas(view.layout),
      storage: this.#storage(),
      transport: this.#options.transport,
      progress: this.#progress(),
      log: upkeepText(store.totals().logBytes, store.upkeep()),
    };
  }

  /** Ports of the edges, once they are known. */
  setPorts(ports: { readonly httpPort: number | null; readonly adminPort: number | null }): void {
    this.#ports = ports;
  }

  async files(cursor: string | null, limit: number): Promise<FilesPage> {
    const view = this.#parts.driver.current();
    if (view === null) return { files: [], backUpFiles: [], cursor: null };
    return filesPage(this.#parts.store, view, cursor, Math.min(Math.max(limit, 1), FILES_PAGE_MAX));
  }

  ring(): RingView {
    const layout = this.#parts.driver.current()?.layout ?? null;
    const catchUp = this.#parts.catchUp.progress();
    const release = this.#parts.release.progress();
    return ringReport({
      layout,
      keyBits: this.#options.ring.keyBits,
      self: this.#parts.store.nodeId,
      liveness: (nodeId) => this.#liveness(nodeId),
      down: this.#parts.membership.downMembers,
      fork: this.#parts.membership.fork,
      strain: this.#parts.driver.current()?.strain ?? NO_STRAIN,
      moves: {
        arcs: catchUp?.arcsLeft ?? 0, keysLeft: release?.keysLeft ?? 0, bytesLeft: (release?.bytesLeft ?? 0) + (catchUp?.bytesLeft ?? 0),
        estimatedSeconds: catchUp?.estimatedSeconds ?? null,
      },
      repair: this.repair(),
    });
  }

  /** What lacks a copy, as far as this node knows. */
  repair(): RepairView {
    const { store, hints, keyRepair, antiEntropy, background, driver } = this.#parts;
    return repairReport({
      layout: driver.current()?.layout ?? null,
      self: store.nodeId,
      isUp: (nodeId) => isLive(this.#liveness(nodeId)),
      nowMs: this.#deps.clock.wallNow(),
      objectsIn: (arcs) => store.objectsIn(arcs),
      hints: { count: hints.count, oldestAt: hints.oldestAt, nodes: () => hints.nodes(), countOf: (nodeId) => hints.countOf(nodeId) },
      keys: keyRepair,
      peersLeft: antiEntropy.progress()?.peersLeft ?? 0,
      bytesPerSecond: background.rate,
    });
  }

  async explain(name: string): Promise<ExplainView> {
    const view = this.#parts.driver.current();
    if (view === null) throw new DhtError('DHT_ERR_NOT_READY', 'this node is in no ring yet');
    const { caller } = this.#parts;
    const position = hasher(name, view.layout.keyBits);
    return explain(
      { caller, view, liveness: (nodeId) => this.#liveness(nodeId), hash: hash('sha256', name, 'hex'), position },
      { callTimeoutMs: OPERATION_DEADLINE_MS }, name,
    );
  }

  readiness(): HealthView {
    const { state, detail } = this.#state();
    const disk = this.#storage().detail;
    return { isOk: state === 'serving' || state === 'leaving', reason: disk === 'ok' ? detail : `${detail}. ${disk}` };
  }

  startup(): HealthView {
    return { isOk: this.#end === null, reason: this.#state().detail };
  }

  clusterHealth(): HealthView {
    const ring = this.ring();
    return { isOk: ring.arcs.total > 0 && ring.arcs.unavailable === 0, reason: ring.safety };
  }

  // ----------------------------------------------------------------------------------------------------- commands

  async join(seeds: readonly string[]): Promise<JoinOutcome> {
    const { driver, store } = this.#parts;
    const layout = driver.current()?.layout ?? null;
    if (this.#end !== null || this.#isLeaving) return { kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'this node is leaving or stopped' };
    if (seeds.length === 0 && layout !== null) {
      if (isAloneIn(layout, store.nodeId)) return { kind: 'joined' };
      return { kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: `already a member of the ring ${layout.clusterId}; leave it first` };
    }
    const isFree = layout !== null && isAloneIn(layout, store.nodeId) && store.totals().registers === 0;
    return new Promise((resolve) => {
      const timeoutMs = this.#options.tuning.joinTimeoutMs;
      const timer = this.#deps.clock.after(timeoutMs + JOIN_GRACE_MS, () => {
        this.#settleJoin({ kind: 'failed', code: 'DHT_ERR_NO_SEED_ANSWERED', detail: this.#state().detail });
      });
      this.#joinWaiters.push((outcome) => { timer.cancel(); resolve(outcome); });
      if (seeds.length === 0) driver.dispatch({ kind: 'found' });
      else driver.dispatch({ kind: 'join', seeds, initialNames: [], whenMember: isFree ? 'abandon' : 'compare', timeoutMs });
    });
  }

  async leave(): Promise<LeaveOutcome> {
    const { driver, store } = this.#parts;
    if (this.#isLeaving) return { kind: 'leaving' };
    const layout = driver.current()?.layout ?? null;
    const member = layout === null ? undefined : memberById(layout, store.nodeId);
    if (this.#end !== null || layout === null || member === undefined) {
      return { kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'this node is no member of a ring' };
    }
    // Its move may be given up, and one that replaces a lost disk would then leave the lost one behind as a member.
    if (member.state === 'joining') return { kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'this node is still joining' };
    this.#isLeaving = true;
    this.#deps.log.info('leaving the ring', { epoch: layout.epoch });
    // A joiner may be in a layout that is not durable yet: then this node isn't the last.
    if (isAloneIn(store.layout() ?? layout, store.nodeId)) this.#finish({ kind: 'left' });
    else driver.dispatch({ kind: 'leave' });
    return { kind: 'leaving' };
  }

  recover(acceptDataLoss: boolean): Promise<RecoverOutcome> {
    const { driver, store } = this.#parts;
    if (this.#end !== null || this.#recoverWaiter !== null) return Promise.resolve({ kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'this node is stopped, or a recovery is under way' });
    this.#deps.log.warn('a recovery was asked for', { acceptDataLoss, epoch: store.layout()?.epoch ?? 0 });
    return new Promise((resolve) => {
      this.#recoverWaiter = resolve;
      driver.dispatch({ kind: 'recover', acceptDataLoss, atMs: Math.floor(this.#deps.clock.wallNow()) });
    });
  }

  /** Stops as for a restart: peers are told, what is in work ends, the data stays. A lost identity is renewed on the way. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    if (this.#end === null) {
      this.#parts.driver.dispatch({ kind: 'stopping' });
      await new Promise<void>((resolve) => { this.#deps.clock.after(this.#options.tuning.farewellMs, resolve); });
    }
    this.#finish({ kind: 'stopped' });
    const layout = this.#parts.store.layout();
    await this.#parts.close();
    if (this.#end?.kind !== 'identity-lost') return;
    const others = layout?.members.filter((m) => m.nodeId !== this.#parts.store.nodeId).map((m) => m.advertise) ?? [];
    const { disk, random, log } = this.#deps;
    const directory = nodeDirectory(this.#options.dataDirectory, this.#address);
    await renewIdentity({ disk, random: random.fork('renewal') }, directory, others).catch((error: unknown) => {
      log.error('the identity could not be renewed; the next start finds the same and tries again', { directory, detail: String(error) });
    });
  }

  /** Members that an orchestrator may know more of: how long each has been down, null when it isn't. */
  membersDown(): readonly { readonly host: string; readonly name: string; readonly downMs: number | null }[] {
    const { driver, membership } = this.#parts;
    const down = membership.downMembers;
    return (driver.current()?.layout.members ?? []).map(({ nodeId, name }) => ({ host: parseAddress(name)?.host ?? name, name, downMs: down.get(nodeId)?.downForMs ?? null }));
  }

  /** These members are down and nobody wants them back. */
  orphaned(names: readonly string[]): void {
    this.#parts.driver.dispatch({ kind: 'orphans', names });
  }

  /** How many members an orchestrator wants, asked at each scrape; null: it is not known. */
  expectMembers(wanted: () => number | null): void {
    this.#ringProgress.expect(wanted);
  }

  // ------------------------------------------------------------------------------------------------------- inside

  #onLayout(layout: Layout): void {
    const { catchUp, release, antiEntropy } = this.#parts;
    this.#counters.onLayout(layout);
    this.#ringProgress.layoutChanged();
    this.#deps.log.info('layout', { epoch: layout.epoch, phase: layout.phase, members: layout.members.length, voters: layout.voters.length });
    catchUp.onLayout(layout);
    antiEntropy.onLayout(layout);
    release.onLayout(layout);
  }

  #finishLeave(): void {
    if (!this.#isLeaving || this.#parts.membership.state.kind !== 'left' || !this.#parts.release.isDone) return;
    this.#finish({ kind: 'left' });
  }

  #finish(end: NodeEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#watch?.cancel();
    this.#settleJoin({ kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'the node ended' });
    this.#settleRecover({ kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'the node ended' });
    this.#parts.halt();
    this.#resolveEnded(end);
  }

  #settleJoin(outcome: JoinOutcome): void {
    const waiters = this.#joinWaiters;
    this.#joinWaiters = [];
    for (const settle of waiters) settle(outcome);
  }

  #settleRecover(outcome: RecoverOutcome): void {
    const settle = this.#recoverWaiter;
    this.#recoverWaiter = null;
    settle?.(outcome);
  }

  /** Background work gives way when clients wait longer than usual. */
  async #timed<T>(operation: Promise<T>): Promise<T> {
    const beginAt = this.#deps.clock.monotonicNow();
    const outcome = await operation;
    this.#parts.background.clientWaited(elapsedMs(beginAt, this.#deps.clock.monotonicNow()));
    return outcome;
  }

  /** Tells what changed since the last look. */
  #lookAtRing(): void {
    if (this.#state().state === 'serving') this.#ringProgress.serves();
    const layout = this.#parts.driver.current()?.layout ?? null;
    const { underReplicatedObjects, comparisonsLeft } = this.repair();
    const look: RingLook = {
      layout,
      liveness: new Map(layout?.members.map(({ nodeId }) => [nodeId, this.#liveness(nodeId)])),
      unrepaired: underReplicatedObjects + comparisonsLeft,
    };
    const isUp = (nodeId: NodeId): boolean => isLive(look.liveness.get(nodeId) ?? 'unknown');
    this.#counters.timeAtRisk.look({ self: this.#parts.store.nodeId, layout, isUp, underReplicatedObjects }, this.#watchedAt);
    const before = this.#look;
    this.#look = look;
    for (const change of ringChanges(before, look)) this.#events.add(change, this.#deps.clock.wallNow());
  }

  #watchLater(): void {
    this.#watch = this.#deps.clock.after(WATCH_MS, () => { this.#watchOnce(); });
  }

  /** Looks whether this node may have missed writes: it was frozen, or cut off from a majority, and is back. */
  #watchOnce(): void {
    const { clock, loopDelayMs } = this.#deps;
    const now = clock.monotonicNow();
    const wasFrozen = elapsedMs(this.#watchedAt, now) > WATCH_MS + this.#options.tuning.stallMs;
    this.#watchedAt = now;
    this.#parts.background.adjust();
    const view = this.#parts.driver.current();
    const isCutOff = view !== null && view.unreachable.size >= view.layout.members.length / 2;
    if (wasFrozen || (this.#wasCutOff && !isCutOff)) this.#parts.antiEntropy.returned();
    this.#wasCutOff = isCutOff;
    this.#lookAtRing();
    this.#parts.driver.dispatch({ kind: 'health', loopDelayMs: loopDelayMs(), disk: this.#diskHealth() });
    this.#watchLater();
  }

  #suspicionView(): SuspicionView {
    const { clock } = this.#deps;
    const { awareness, newsWaiting, suspicions } = this.#parts.membership;
    return { awareness, newsWaiting, suspicions, wallTimeOf: (heardAt) => clock.wallNow() - elapsedMs(heardAt, clock.monotonicNow()) };
  }

  #storage(): StorageView {
    const { store, diskWatch, scrub, healing } = this.#parts;
    return storageView(store.spaceView(), diskWatch.isSlow, { ...scrub.view(), unhealed: healing.pendingCount });
  }

  #diskHealth(): DiskHealth {
    const { totalBytes, freeBytes, level } = this.#parts.store.spaceView();
    return { diskUsed: totalBytes === 0 ? 0 : 1 - freeBytes / totalBytes, space: level, isDiskSlow: this.#parts.diskWatch.isSlow };
  }

  #liveness(nodeId: NodeId): Liveness {
    return nodeId === this.#parts.store.nodeId ? 'alive' : this.#parts.membership.memberLiveness(nodeId);
  }

  #progress(): NodeView['progress'] {
    const release = this.#parts.release.progress();
    if (release !== null) return release;
    const catchUp = this.#parts.catchUp.progress();
    return catchUp === null ? null : { keysLeft: 0, bytesLeft: catchUp.bytesLeft };
  }

  #state(): { state: NodeState; detail: string } {
    const { driver, store, confirmation, membership } = this.#parts;
    if (this.#end !== null) {
      if (this.#end.kind === 'left') return { state: 'left', detail: 'left the ring and handed everything over' };
      if (this.#end.kind === 'stopped') return { state: 'stopped', detail: 'stopped' };
      return { state: 'damaged', detail: this.#end.detail };
    }
    const view = driver.current();
    const member = view === null ? undefined : memberById(view.layout, store.nodeId);
    if (this.#isLeaving) {
      const left = this.#parts.release.progress();
      return { state: 'leaving', detail: left === null ? `leaving: ${membership.state.detail}` : `leaving: ${left.keysLeft} files (${left.bytesLeft} bytes) wait for receipts` };
    }
    if (view === null || member === undefined) return { state: view === null && this.#joinsNothing() ? 'starting' : 'joining', detail: membership.state.detail };
    if (driver.gate() !== null && !confirmation.isConfirmed) return { state: 'starting', detail: confirmation.waitsFor };
    return { state: 'serving', detail: `serving in epoch ${view.layout.epoch}` };
  }

  #joinsNothing(): boolean {
    return this.#options.isJoinOff && this.#options.join.length === 0;
  }

  /** A refusal while this node can't coordinate; null when it can. */
  #whenServing(): Promise<{ kind: 'not-applied'; code: ErrorCode; detail: string }> | null {
    const view = this.#parts.driver.current();
    if (this.#end === null && view !== null) return null;
    return Promise.resolve({ kind: 'not-applied', code: 'DHT_ERR_NOT_READY', detail: this.#state().detail });
  }

  #whenReadable(): Promise<{ kind: 'unavailable'; code: ErrorCode; detail: string }> | null {
    const refusal = this.#whenServing();
    return refusal === null ? null : refusal.then(({ code, detail }) => ({ kind: 'unavailable', code, detail }));
  }
}

/** What the assembled parts tell the node. */
export interface NodeEvents {
  onEnd: (end: NodeEnd) => void;
  onLayout: (layout: Layout) => void;
  onView: () => void;
  onJoined: () => void;
  onJoinFailed: (code: ErrorCode, detail: string) => void;
  onLeft: () => void;
  onRecovered: (outcome: RecoverOutcome) => void;
  onReleased: () => void;
}

function isAloneIn(layout: Layout, self: NodeId): boolean {
  return layout.members.length === 1 && layout.members[0]?.nodeId === self;
}

