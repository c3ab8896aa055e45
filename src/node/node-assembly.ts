/**
 * Assembly: builds the parts of a node and ties them together, once, before anything runs. The only knots are real ones:
 * the peer client serves calls to this node itself, so handler and caller know each other through one late reference.
 */
import { ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import { BytePacer } from '../domain/byte-pacer.ts';
import { ClientLatency } from '../domain/client-latency.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import { FRAME_BODY_BYTES_MAX, OPERATION_DEADLINE_MS } from '../domain/limits.ts';
import { addressText, type NodeAddress } from '../domain/node-address.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import { takesCopies } from '../domain/space-level.ts';
import { must } from '../domain/assert.ts';
import { Membership } from '../membership/membership.ts';
import { MEMBERSHIP_TIMES } from '../membership/membership-options.ts';
import type { LocalNode } from '../peer/local-node.ts';
import type { RequestHandler } from '../peer/peer-caller.ts';
import { PeerClient } from '../peer/peer-client.ts';
import { PeerMeters } from '../peer/peer-meters.ts';
import { PeerServer } from '../peer/peer-server.ts';
import { AntiEntropy } from '../repair/anti-entropy.ts';
import { CatchUp } from '../repair/catch-up.ts';
import { CopySource } from '../repair/copy-source.ts';
import { DigestSource } from '../repair/digest-source.ts';
import { HintBook } from '../repair/hint-book.ts';
import { HintSender } from '../repair/hint-sender.ts';
import { KeyRepair } from '../repair/key-repair.ts';
import { Healing } from '../repair/healing.ts';
import { Release } from '../repair/release.ts';
import { TombstoneEraser } from '../repair/tombstone-eraser.ts';
import { TombstoneSource } from '../repair/tombstone-source.ts';
import { BodyStaging } from '../replication/body-staging.ts';
import { Coordinator } from '../replication/coordinator.ts';
import { ListSource } from '../replication/list-source.ts';
import type { RepairNotes } from '../replication/operation-context.ts';
import { Replica } from '../replication/replica.ts';
import { DiskWatch } from '../storage/disk-watch.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { StoreOperations } from '../storage/store-operations.ts';
import { Scrub } from '../storage/scrub.ts';
import { Background } from '../transfer/background.ts';
import { BodyPull } from '../transfer/body-pull.ts';
import type { BodyStreamOptions } from '../transfer/body-stream.ts';
import { Pacing } from '../transfer/pacing.ts';
import { Pauses } from '../transfer/pauses.ts';
import { BootConfirmation } from './boot-confirmation.ts';
import type { NodeEvents } from './dht-node.ts';
import { MembershipDriver } from './membership-driver.ts';
import type { NodeCounters } from './node-metrics.ts';
import type { NodeDeps, NodeOptions } from './node-options.ts';
import { PeerPositions } from './peer-positions.ts';
import { RequestRouter } from './request-router.ts';
import { openNodeStore } from './store-opening.ts';

export interface NodeParts {
  readonly store: ObjectStore;
  readonly membership: Membership;
  readonly driver: MembershipDriver;
  readonly confirmation: BootConfirmation;
  readonly coordinator: Coordinator;
  readonly catchUp: CatchUp;
  readonly antiEntropy: AntiEntropy;
  readonly keyRepair: KeyRepair;
  readonly hints: HintBook;
  readonly background: Background;
  readonly release: Release;
  readonly diskWatch: DiskWatch;
  readonly scrub: Scrub;
  readonly healing: Healing;
  readonly caller: PeerClient;
  /** Ends everything that acts by itself; what is in work may still answer. */
  readonly halt: () => void;
  /** Closes connections and the store. */
  readonly close: () => Promise<void>;
}

export async function assembleNode(
  deps: NodeDeps, options: NodeOptions, counters: NodeCounters, events: NodeEvents,
): Promise<{ readonly address: NodeAddress; readonly parts: NodeParts }> {
  const { clock, network, log, meter, random, rules } = deps;
  const { tuning } = options;
  const address = await concreteAddress(deps, options);
  const name = addressText(address);
  const advertise = options.advertise ?? name;
  const meters = new PeerMeters(meter);
  const directory = nodeDirectory(options.dataDirectory, address);
  const onDiskFailure = (error: unknown): void => {
    events.onEnd({ kind: 'failed', code: 'DHT_ERR_DISK_FAILED', detail: `writing to ${directory} failed: ${String(error)}` });
  };
  const operations = new StoreOperations(meter, clock);
  const diskWatch = new DiskWatch({
    disk: deps.disk, clock, onFailure: onDiskFailure, onSync: (durationMs, isOk) => { operations.took('fsync', durationMs, isOk); },
  }, tuning.diskWatch);
  const lateHealing: { healing: Healing | null } = { healing: null };
  const store = await openNodeStore({
    deps, options, address, directory, disk: diskWatch.disk, meters, counters, onFailure: onDiskFailure,
    onRot: (key) => { lateHealing.healing?.add(key); },
  }).catch(async (error: unknown) => {
    await diskWatch.stop();
    throw error;
  });
  diskWatch.probeIn(directory);
  const recovered = { boot: store.incarnation, position: store.recoveredPosition };
  const identity: PeerIdentity = { nodeId: store.nodeId, name, advertise, incarnation: store.incarnation };
  const positions = new PeerPositions({ clock, state: store }, { saveIntervalMs: tuning.rememberIntervalMs });

  const late: { handler: RequestHandler | null; driver: MembershipDriver | null; confirmation: BootConfirmation | null } =
    { handler: null, driver: null, confirmation: null };
  const position = (): number => (late.confirmation?.isConfirmed === true ? store.durablePosition() : recovered.position);
  const local: LocalNode = {
    versions: options.versions,
    identity: () => identity,
    clusterId: () => store.layout()?.clusterId ?? null,
    position: () => ({ boot: recovered.boot, position: position() }),
    epoch: () => late.driver?.current()?.layout.epoch ?? 0,
    onPeerSeen: (peer, epoch, boot) => {
      positions.saw(peer.nodeId, boot);
      late.driver?.peerSeen(peer, epoch);
    },
  };
  const handler: RequestHandler = {
    handle: (from, request, deadlineMs, epoch) => must(late.handler, 'the router').handle(from, request, deadlineMs, epoch),
  };
  const caller = new PeerClient({ clock, random: random.fork('peer'), network, meters, local, handler }, tuning.peer);
  const server = new PeerServer({ clock, network, log, meters, local, handler }, tuning.peer);

  const membership = new Membership(
    {
      random: random.fork('membership'), now: clock.monotonicNow(), notes: counters.membership,
      durable: { layout: store.layout(), slot: store.slot(), caught: store.caught(), promisedFounder: store.promisedFounder() },
    },
    {
      self: { nodeId: store.nodeId, name, advertise }, boot: store.incarnation, zone: options.zone, weight: options.weight,
      ring: options.ring, asksToFound: deps.mayFound !== null, times: { ...MEMBERSHIP_TIMES, tickMs: tuning.tickMs, outAfterMs: options.outAfterMs },
    },
  );
  const driver = new MembershipDriver({
    clock, log, caller, state: store, membership, rules, position,
    isEmpty: () => store.totals().registers === 0,
    remember: (peer, boot, at) => { positions.saw(peer, { boot, position: at }); },
    onLayout: (layout) => { events.onLayout(layout); },
    onView: () => { events.onView(); },
    mayFound: deps.mayFound === null ? null : () => deps.mayFound?.(store.nodeId) ?? Promise.resolve({ kind: 'permitted' }),
    onJoined: () => { events.onJoined(); },
    onJoinFailed: (code, detail) => { events.onJoinFailed(code, detail); },
    onLeft: () => { events.onLeft(); },
    onDoubled: (detail) => { events.onEnd({ kind: 'identity-lost', detail }); },
    onRecovered: (layout) => { events.onRecovered({ kind: 'recovered', epoch: layout.epoch }); },
    onRecoverRefused: (detail) => { events.onRecovered({ kind: 'failed', code: 'DHT_ERR_CONFLICT', detail }); },
    onFailure: (error) => { events.onEnd({ kind: 'failed', code: 'DHT_ERR_DISK_FAILED', detail: String(error) }); },
  }, { tickMs: tuning.tickMs, requestsMax: tuning.peerRequestsMax });
  late.driver = driver;

  const { bodies } = tuning;
  const pauses = new Pauses(clock);
  const onBytes = (bytes: number): void => { counters.transferredBytes.add(bytes, { direction: 'in' }); };
  const streams: BodyStreamOptions = {
    chunkBytes: bodies.chunkBytes, fetchBytes: Math.min(4 * bodies.chunkBytes, FRAME_BODY_BYTES_MAX), aheadBytes: 8 * bodies.chunkBytes,
    callTimeoutMs: tuning.copyTimeoutMs, progressMs: bodies.progressMs,
  };
  const pace = new Pacing(new BytePacer(tuning.pacing, clock.monotonicNow()), pauses, tuning.pacing.waitMsMax);
  const givingPace = new Pacing(new BytePacer(tuning.pacing, clock.monotonicNow()), pauses, tuning.pacing.waitMsMax);
  const background = new Background([pace, givingPace], new ClientLatency(tuning.clientLatency));
  const pulls = new BodyPull({ caller, store, views: driver, pauses, onBytes, pace: (bytes) => pace.spend(bytes) }, { ...streams, ...tuning.pulls });
  const staging = new BodyStaging({ store, views: driver, pauses }, {
    ...tuning.staging, chunkBytes: bodies.chunkBytes, progressMs: bodies.progressMs,
  });
  const replica = new Replica({
    store, views: driver, caller, rules, pauses, staging, pulls, operations, onLacking: (name) => { keyRepair.addLacking(name); },
  }, { inlineBytesMax: bodies.inlineBytesMax, bodyFetchTimeoutMs: tuning.copyTimeoutMs, bodyGraceMs: tuning.operations.readGraceMs, lateBodies: tuning.lateBodies });
  const book = new HintBook((reason, count) => { counters.repair.droppedHints(reason, count); }, tuning.hints);
  const hints = new HintSender({
    clock, caller, views: driver, book, onDelivered: (count) => { counters.repair.deliveredHints(count); },
  }, { lookMs: tuning.hints.lookMs, callTimeoutMs: tuning.copyTimeoutMs });
  const notes: RepairNotes = {
    missed: (nodeId, name, accepted, cause) => { hints.missed(nodeId, name, accepted, cause); },
    readRepaired: (isOk) => { counters.repair.readRepaired(isOk); },
  };
  const coordinator = new Coordinator({ caller, views: driver, clock, random: random.fork('coordinator'), rules, repair: notes, onRetry: (op) => { counters.replicaRetries.add(1, { op }); }, onWrite: (result) => { counters.writes.add(1, { result }); } }, {
    ...tuning.operations, operationDeadlineMs: OPERATION_DEADLINE_MS, bodies, streams,
  });
  const lists = new ListSource({ store, views: driver, operations }, tuning.listing);
  const copies = new CopySource({ store, views: driver, pace: (bytes) => givingPace.spend(bytes), onGiven: (bytes) => { counters.transferredBytes.add(bytes, { direction: 'out' }); } }, { pageEntriesMax: tuning.pageEntriesMax });
  const copyOptions = {
    pageEntriesMax: tuning.pageEntriesMax, recordKeysMax: tuning.recordKeysMax, callTimeoutMs: tuning.copyTimeoutMs, retryMs: tuning.repairRetryMs,
  };
  const copyDeps = {
    caller, clock, store, views: driver, rules, pulls, onBytes, pace: (bytes: number) => pace.spend(bytes), onTaken: () => undefined, 
    identityRound: (name: string, above: Ballot) => coordinator.identityRound(name, rules.antiEntropyRaisesBallot ? above : ZERO_BALLOT),
  };
  const mayTakeIn = (): boolean => takesCopies(store.spaceView().level);
  const keyRepair = new KeyRepair({
    ...copyDeps, mayTakeIn, random: random.fork('key repair'), pauses, onAttempt: (cause, result) => { counters.repair.attempted(cause, result); },
  }, { ...copyOptions, ...tuning.keyRepair });
  const catchUp = new CatchUp({
    ...copyDeps, log, state: store,
    onTransfer: (result) => { counters.transfers.add(1, { result }); },
    onCaught: (epoch, arcEnds) => { driver.dispatch({ kind: 'caught', epoch, arcEnds }); },
  }, { ...copyOptions, arcsAtOnce: tuning.arcsAtOnce });
  const antiEntropy = new AntiEntropy({
    ...copyDeps, mayTakeIn, log, random: random.fork('anti-entropy'), onTaken: (count) => { counters.repair.repaired(count); }, 
    onRun: (result, seconds) => { counters.repair.compared(result, seconds); },
    onPass: () => {
      counters.repair.passed(clock.wallNow());
      void keyRepair.scanBodies();
    },
  }, { ...copyOptions, ...tuning.antiEntropy, arcsAtOnce: tuning.arcsAtOnce });
  const release = new Release({
    caller, clock, log, store, views: driver, rules, settle: (name, epoch) => coordinator.settle(name, epoch), onDone: () => { events.onReleased(); },
  }, { ...copyOptions, loneRecordsMax: tuning.loneRecordsMax });
  const healing = new Healing({
    clock, log, nameOf: (key) => store.nameOf(key), isWhole: async (key) => (await store.verify(key, () => Promise.resolve())).isSound,
    identityRound: (name) => coordinator.identityRound(name, ZERO_BALLOT),
    onHealed: () => { counters.healed.add(1); }, onAllWhole: () => { store.checkpointSoon(); },
  }, tuning.healing);
  lateHealing.healing = healing;
  const scrub = new Scrub({
    disk: diskWatch.disk, clock, next: (after) => store.keyAfter(after), verify: (key, pause) => store.verify(key, pause),
    totals: () => store.totals(),
    onVerified: (result) => {
      counters.scrubbed.add(1, { result });
      if (result === 'corrupt') counters.corruptions.add(1, { stage: 'scrub' });
    },
    onRot: (key) => { healing.add(key); },
  }, { ...tuning.scrub, directory });
  const tombstones = new TombstoneSource({ store, views: driver, rules, onErased: (count) => { counters.erasedTombstones.add(count); } });
  const eraser = new TombstoneEraser({ caller, store, views: driver, rules, pauses, identityRound: copyDeps.identityRound }, {
    ...tuning.erasure, callTimeoutMs: tuning.copyTimeoutMs,
  });
  const confirmation = new BootConfirmation({
    caller, clock, self: store.nodeId, recovered, layout: () => driver.current()?.layout ?? null,
    onConfirmed: () => {
      driver.confirm();
      events.onView();
    },
    onLost: (remembered, by) => {
      events.onEnd({
        kind: 'identity-lost',
        detail: `${by} remembers boot ${remembered.boot} and log position ${remembered.position} of this node, the disk has boot ${recovered.boot} and ${recovered.position}: acknowledged state is gone`,
      });
    },
  }, { retryMs: tuning.confirmRetryMs, callTimeoutMs: tuning.copyTimeoutMs });
  late.confirmation = confirmation;
  if (!rules.amnesiaCheck) driver.confirm();
  late.handler = new RequestRouter({
    membership: driver, replica, staging, lists, copies, digests: new DigestSource({ store, views: driver }), missed: (request) => keyRepair.missed(request),
    tombstones,
    positionCheck: ({ nodeId, boot }) => ({ kind: 'position-check-reply', isConfirmed: positions.confirms(nodeId, boot), remembered: positions.of(nodeId) }),
  });

  try {
    await server.listen(options.listenHost, address.port);
  } catch (error) {
    await store.close();
    await diskWatch.stop();
    throw new DhtError('DHT_ERR_SETTING_INVALID', `cannot listen on ${options.listenHost}:${address.port}: ${String(error)}`, { cause: error });
  }
  eraser.start();
  const halt = (): void => {
    pauses.stop();
    healing.stop();
    catchUp.stop();
    antiEntropy.stop();
    keyRepair.stop();
    hints.stop();
    release.stop();
    confirmation.stop();
    driver.stop();
    coordinator.stop();
  };
  const close = async (): Promise<void> => {
    // On a full volume others here wait for the log.
    await store.endWaiting();
    await Promise.all([caller.stop(), server.stop(), staging.stop()]);
    await scrub.stop();
    await store.close();
    await diskWatch.stop();
  };
  return { address, parts: { diskWatch, scrub, healing, store, membership, driver, confirmation, coordinator, catchUp, antiEntropy, keyRepair, hints: book, background, release, caller, halt, close } };
}

/** The directory `host_port` under the data directory, as the seed has it. */
export function nodeDirectory(dataDirectory: string, address: NodeAddress): string {
  return `${dataDirectory}/${address.host.replaceAll(':', '-')}_${address.port}`;
}

/** Port 0 becomes a free one: the port is part of the node's name, so it has to be known before the store is opened. */
async function concreteAddress({ network }: NodeDeps, { address, listenHost }: NodeOptions): Promise<NodeAddress> {
  if (address.port !== 0) return address;
  const probe = await network.listen(listenHost, 0, (stream) => { stream.destroy(); });
  await probe.close();
  return { host: address.host, port: probe.port };
}
