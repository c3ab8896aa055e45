/**
 * Opens the node's store, or says why not. A log that can't be read back is the ring's to decide on (damaged-start.ts): either the
 * node gets a new identity and comes back empty beside its old log, or the start ends and nothing on disk has changed.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { NodeId } from '../domain/ids.ts';
import { addressText, type NodeAddress } from '../domain/node-address.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { LocalNode } from '../peer/local-node.ts';
import type { RequestHandler } from '../peer/peer-caller.ts';
import { PeerClient } from '../peer/peer-client.ts';
import type { PeerMeters } from '../peer/peer-meters.ts';
import type { Disk } from '../ports/disk.ts';
import { renewIdentity } from '../storage/identity-renewal.ts';
import { ObjectStore, type OpenOutcome } from '../storage/object-store.ts';
import { decideDamagedStart, type DamagedOutcome } from './damaged-start.ts';
import { openWhenFree } from './lock-wait.ts';
import type { NodeCounters } from './node-metrics.ts';
import type { NodeDeps, NodeOptions } from './node-options.ts';

export interface StoreOpening {
  readonly deps: NodeDeps;
  readonly options: NodeOptions;
  readonly address: NodeAddress;
  readonly directory: string;
  /** The node's, as the store is to use it. */
  readonly disk: Disk;
  readonly meters: PeerMeters;
  readonly counters: NodeCounters;
  readonly onFailure: (error: unknown) => void;
  /** The register is no longer whole here. */
  readonly onRot: (key: ObjectKey) => void;
}

/** Throws a DhtError when the directory can't be used. */
export async function openNodeStore(opening: StoreOpening): Promise<ObjectStore> {
  const { deps: { clock, log, random }, directory, disk, counters } = opening;
  const { lockWait } = opening.options.tuning;
  const outcome = await openWhenFree(clock, lockWait, () => open(opening), () => {
    log.warn('another process uses the data directory; waiting for it to end', { directory, waitMs: lockWait.waitMs });
  });
  if (outcome.kind !== 'damaged') return openedOr(outcome, directory);
  counters.corruptions.add(1, { stage: 'startup' });
  const what = `${outcome.file} at offset ${outcome.offset}: ${outcome.detail}`;
  log.error('stored data cannot be read back; asking the other members whether the ring can do without it', { directory, detail: what });
  const verdict = await decide(opening, outcome);
  if (verdict.kind === 'needed') {
    throw new DhtError('DHT_ERR_DATA_DAMAGED', `${what}. Nothing was changed, for the ring may need what is left of it: ${verdict.detail}. Start the other members, then this one again`);
  }
  log.error('the ring has everything this node was told to keep: it comes back as a new member, and its old log stays beside the new one', { directory });
  await renewIdentity({ disk, random: random.fork('renewal') }, directory, verdict.rejoin);
  return openedOr(await open(opening), directory);
}

function open({ deps: { clock, log, random, rules }, options, address, directory, disk, counters, onFailure, onRot }: StoreOpening): Promise<OpenOutcome> {
  return ObjectStore.open({
    disk, clock, log, random: random.fork('storage'), onFailure,
    onDamage: (detail, key) => {
      if (key !== null) onRot(key);
      counters.corruptions.add(1, { stage: 'read' });
      log.error('stored data cannot be read back', { directory, detail });
    },
  }, {
    directory, name: addressText(address), keyBits: options.ring.keyBits,
    ...options.tuning.store, bodies: options.tuning.bodies, resolveBeforeSync: !rules.replyAfterFsync, unlinkBeforeSync: !rules.unlinkAfterAccept,
  });
}

function openedOr(outcome: OpenOutcome, directory: string): ObjectStore {
  switch (outcome.kind) {
    case 'opened':
      return outcome.store;
    case 'foreign':
      throw new DhtError('DHT_ERR_DATA_DIR_FOREIGN', `${directory} belongs to ${outcome.name} with M = ${outcome.keyBits}`);
    case 'newer':
      throw new DhtError('DHT_ERR_DATA_DIR_NEWER', `${directory} has format version ${outcome.version}`);
    case 'in-use':
      throw new DhtError('DHT_ERR_DATA_DIR_IN_USE', `${directory} is used by a running process`);
    case 'damaged':
      throw new DhtError('DHT_ERR_DATA_DAMAGED', `${outcome.file} at offset ${outcome.offset}: ${outcome.detail}`);
  }
}

/** Asks under an id that no ring knows: the old one must say nothing any more. */
async function decide({ deps, options, address, meters }: StoreOpening, damaged: OpenOutcome & { kind: 'damaged' }): Promise<DamagedOutcome> {
  const { clock, network, random } = deps;
  const { tuning } = options;
  if (damaged.nodeId === null) return { kind: 'needed', detail: 'not even whose directory it is can be read' };
  const name = addressText(address);
  const advertise = options.advertise ?? name;
  const identity: PeerIdentity = { nodeId: random.fork('question').hex(16) as NodeId, name, advertise, incarnation: 1 };
  const local: LocalNode = {
    versions: options.versions,
    identity: () => identity, clusterId: () => null, position: () => ({ boot: 1, position: 0 }), epoch: () => 0, onPeerSeen: () => undefined,
  };
  const handler: RequestHandler = { handle: () => Promise.reject(new Error('a node that only asks was asked')) };
  const caller = new PeerClient({ clock, random: random.fork('question peers'), network, meters, local, handler }, tuning.peer);
  const addresses = [...new Set([...damaged.addresses, ...options.join])].filter((known) => known !== advertise && known !== name);
  const verdict = await decideDamagedStart({ caller, clock }, tuning.damagedStart, { nodeId: damaged.nodeId, addresses });
  await caller.stop();
  return verdict;
}
