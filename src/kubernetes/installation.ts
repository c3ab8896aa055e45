/**
 * One pod's dealings with its installation: the secret before it speaks to anyone, the permit before it founds, the
 * check that its ring is the recorded one, the decision at SIGTERM, and the look-out for orphans.
 *
 * Nothing here stands between a member and its work: without an answer from the API a running ring goes on as it is, and
 * only what needs the answer (a first secret, founding, leaving) waits or is left out.
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { ClusterInfo, DesiredNodes, FoundingPermit } from '../ports/cluster-info.ts';
import type { Log } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';
import { ClusterAgreement } from './cluster-agreement.ts';
import { ordinalOf } from './ordinal.ts';
import { READS_APART_MS, orphanMembers, type OrphanEvidence } from './orphan-members.ts';
import { decideShutdown, type LeavePolicy, type ShutdownDecision } from './shutdown-decision.ts';

export interface InstallationDeps {
  readonly info: ClusterInfo;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface InstallationOptions {
  readonly podName: string;
  readonly statefulSet: string;
  readonly leavePolicy: LeavePolicy;
  readonly reapAfterMs: number;
}

/** Nodes that found a ring together, at most. */
const FOUNDERS_MAX = 3;
/** Reads at SIGTERM until one answers. */
const SHUTDOWN_READS_MAX = 3;
/** Reads at the start until one answers; then the settings count. */
const START_READS_MAX = 5;
const READ_AGAIN_MS = 500;

export class Installation {
  readonly #deps: InstallationDeps;
  readonly #options: InstallationOptions;
  readonly #agreement: ClusterAgreement;
  #uidAtStart: string | null = null;
  /** The last read and one a while before it, for orphans. */
  #before: DesiredNodes | null = null;
  #timer: Timer | null = null;
  #wantedMembers: number | null = null;

  constructor(deps: InstallationDeps, options: InstallationOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#agreement = new ClusterAgreement(deps);
  }

  /** The secret of the installation; waits until there is one. */
  secret(): Promise<string> {
    return this.#agreement.secret();
  }

  /** How many of the first nodes found together: as many as are wanted, three at most; null: nobody could tell. */
  async founderCount(): Promise<number | null> {
    const desired = await this.#read(START_READS_MAX);
    if (desired.kind !== 'known') return null;
    this.#uidAtStart = desired.uid;
    return Math.max(1, Math.min(FOUNDERS_MAX, desired.replicas));
  }

  /** Records this node's ring as that of the installation, unless another one is recorded. A ring has its founder's id. */
  async mayFound(nodeId: string): Promise<FoundingPermit> {
    const recorded = await this.#agreement.clusterId(nodeId);
    if (recorded === nodeId) return { kind: 'permitted' };
    return { kind: 'refused', detail: `the installation's Secret records the ring ${recorded}; this node waits for a member of it (if all its disks are gone for good, remove the entry clusterId)` };
  }

  /** Null: the ring on this node's disk is the installation's. Else what is wrong. */
  async foreignRing(clusterId: string): Promise<string | null> {
    const recorded = await this.#agreement.clusterId(clusterId);
    return recorded === clusterId ? null : `the data on this volume belongs to the ring ${clusterId}, the installation's Secret records ${recorded}: this is the volume of another installation, or the Secret is`;
  }

  /** How many nodes were wanted at the last read, a minute ago at most while orphans are watched for; null: it told nothing. */
  get wantedMembers(): number | null {
    return this.#wantedMembers;
  }

  /** By a fresh read. */
  async decide(ring: { readonly isEveryArcAvailable: boolean; readonly memberCount: number }): Promise<ShutdownDecision> {
    const { podName, statefulSet, leavePolicy } = this.#options;
    const desired = leavePolicy === 'auto' ? await this.#read(SHUTDOWN_READS_MAX) : { kind: 'unknown', detail: 'nobody was asked' } as const;
    return decideShutdown({ policy: leavePolicy, ordinal: ordinalOf(podName, statefulSet), uidAtStart: this.#uidAtStart, desired, ...ring });
  }

  /** From now on, tells which members are orphans. */
  watchOrphans(members: () => OrphanEvidence['members'], onOrphans: (names: readonly string[]) => void): void {
    this.#timer = this.#deps.clock.after(READS_APART_MS, () => {
      void this.#lookForOrphans(members, onOrphans).then(() => { if (this.#timer !== null) this.watchOrphans(members, onOrphans); });
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #lookForOrphans(members: () => OrphanEvidence['members'], onOrphans: (names: readonly string[]) => void): Promise<void> {
    const { statefulSet, reapAfterMs } = this.#options;
    const now = await this.#desired();
    const orphans = orphanMembers({ statefulSet, reapAfterMs, now, before: this.#before, uidAtStart: this.#uidAtStart, members: members() });
    this.#before = now;
    if (now.kind === 'known') this.#uidAtStart ??= now.uid;
    if (orphans.length > 0) onOrphans(orphans);
  }

  async #desired(): Promise<DesiredNodes> {
    const desired = await this.#deps.info.desired();
    this.#wantedMembers = desired.kind === 'known' ? desired.replicas : null;
    return desired;
  }

  async #read(readsMax: number): Promise<DesiredNodes> {
    for (let reads = 1; ; reads++) {
      const desired = await this.#desired();
      if (desired.kind !== 'unknown' || reads >= readsMax) return desired;
      this.#deps.log.warn('It is not known how many nodes are wanted', { detail: desired.detail });
      await new Promise<void>((resolve) => { this.#deps.clock.after(READ_AGAIN_MS, resolve); });
    }
  }
}
