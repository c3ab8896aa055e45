/**
 * What a StatefulSet and its kubelets do, on processes: as many pods as are wanted, by ordinal; each with a volume (a
 * directory) and a name that outlive it; a container that ended starts again; one too many gets SIGTERM, its grace, and
 * SIGKILL; a pod is in the Service while its readiness probe says so and it isn't ending.
 *
 *   Parallel: all start and end at once.   OrderedReady: the next one starts when all before it are ready.
 */
import type { RealNode } from '../support/real-ring.ts';
import { until } from '../support/real-ring.ts';

export interface StatefulSetOptions {
  readonly isOrdered: boolean;
  /** Milliseconds from SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** The node of an ordinal that never was before. */
  readonly add: (ordinal: number) => Promise<RealNode>;
  readonly start: (node: RealNode) => void;
}

export interface Pod {
  readonly ordinal: number;
  readonly node: RealNode;
  isReady: boolean;
  isEnding: boolean;
  /** Killed on purpose: any end is as wanted. */
  isKilled: boolean;
  /** Not started before this moment. */
  startAt: number;
  starts: number;
}

const TICK_MS = 50;
const PROBE_MS = 200;
const PROBE_TIMEOUT_MS = 1_000;
/** A kubelet sees the end of a container and starts it again: at once the first time. */
const RESTART_MS = 300;

export class LocalStatefulSet {
  readonly pods: Pod[] = [];
  readonly unexpectedEnds: string[] = [];
  mayExitWith: readonly number[] = [];
  #replicas = 0;
  readonly #options: StatefulSetOptions;
  #isRunning = true;
  readonly #loops: readonly Promise<void>[];

  constructor(options: StatefulSetOptions) {
    this.#options = options;
    this.#loops = [this.#every(TICK_MS, () => this.#reconcile()), this.#every(PROBE_MS, () => this.#probe())];
  }

  get replicas(): number {
    return this.#replicas;
  }

  scale(replicas: number): void {
    this.#replicas = replicas;
  }

  pod(ordinal: number): Pod {
    const pod = this.pods[ordinal];
    if (pod === undefined) throw new Error(`there is no pod ${ordinal}`);
    return pod;
  }

  async kill(ordinals: readonly number[], downMs: number): Promise<void> {
    const pods = ordinals.map((ordinal) => this.pod(ordinal));
    for (const pod of pods) {
      pod.isKilled = true;
      pod.startAt = performance.now() + Math.max(RESTART_MS, downMs);
      pod.node.kill('SIGKILL');
    }
    await Promise.all(pods.map(({ node }) => node.exited));
    for (const pod of pods) pod.isReady = false;
  }

  /** SIGTERM, the grace, SIGKILL; resolves with the exit code. */
  async terminate(pod: Pod): Promise<number | null> {
    pod.isEnding = true;
    pod.node.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.unexpectedEnds.push(`${pod.node.name} was still at it ${this.#options.graceMs} ms after SIGTERM, see ${pod.node.logFile}`);
      pod.isKilled = true;
      pod.node.kill('SIGKILL');
    }, this.#options.graceMs);
    const code = await pod.node.exited;
    clearTimeout(timer);
    pod.isReady = false;
    pod.isEnding = false;
    return code;
  }

  async rollingRestart(readyMsMax: number): Promise<void> {
    for (let ordinal = this.#replicas - 1; ordinal >= 0; ordinal--) {
      const pod = this.pod(ordinal);
      await until(() => Promise.resolve(this.pods.slice(0, this.#replicas).every(({ isReady }) => isReady)), readyMsMax, 'every pod is ready before the next restarts');
      const { starts } = pod;
      await this.terminate(pod);
      await until(() => Promise.resolve(pod.isReady && pod.starts > starts), readyMsMax, `${pod.node.name} is ready again`);
    }
  }

  /** Ends the loops, and nothing else. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#loops);
  }

  async #every(ms: number, step: () => Promise<void>): Promise<void> {
    while (this.#isRunning) {
      await step();
      await new Promise((resolve) => { setTimeout(resolve, ms); });
    }
  }

  async #reconcile(): Promise<void> {
    while (this.pods.length < this.#replicas) {
      const ordinal = this.pods.length;
      this.pods.push({ ordinal, node: await this.#options.add(ordinal), isReady: false, isEnding: false, isKilled: false, startAt: 0, starts: 0 });
    }
    for (const pod of this.pods) {
      const { node, ordinal } = pod;
      if (ordinal >= this.#replicas) {
        if (node.isRunning && !pod.isEnding) void this.terminate(pod);
        continue;
      }
      if (node.isRunning || pod.isEnding || performance.now() < pod.startAt) continue;
      if (this.#options.isOrdered && !this.pods.slice(0, ordinal).every(({ isReady }) => isReady)) return;
      this.#start(pod);
    }
  }

  #start(pod: Pod): void {
    const { node } = pod;
    pod.isKilled = false;
    pod.isEnding = false;
    pod.starts += 1;
    this.#options.start(node);
    const { process: child } = node;
    void node.exited.then((code) => {
      if (node.process !== child) return;
      pod.isReady = false;
      pod.startAt = Math.max(pod.startAt, performance.now() + RESTART_MS);
      if (pod.isKilled || (pod.isEnding && code === 0) || (code !== null && this.mayExitWith.includes(code))) return;
      this.unexpectedEnds.push(`${node.name} ended with ${code === null ? 'a signal' : `code ${code}`}, see ${node.logFile}`);
    });
  }

  async #probe(): Promise<void> {
    await Promise.all(this.pods.map(async (pod) => {
      if (!pod.node.isRunning) return;
      const { starts } = pod;
      const answer = await fetch(`${pod.node.adminUrl}/readyz`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).then(async (response) => { await response.arrayBuffer(); return response.ok; }, () => false);
      pod.isReady = answer && pod.node.isRunning && pod.starts === starts;
    }));
  }
}
