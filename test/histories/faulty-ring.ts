/**
 * A ring of real processes, each behind a proxy of PeerLinks that it advertises, and what may be done to it: processes
 * killed, stopped and started again, disks wiped, nodes that join and leave.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { freePorts, RealRing, type RealNode } from '../support/real-ring.ts';
import { ringLack, untilWhole } from '../support/ring-lack.ts';
import { PeerLinks } from './peer-links.ts';

/** Milliseconds for a node to be ready after its start. */
const READY_MS_MAX = 60_000;

export class FaultyRing {
  readonly links: PeerLinks;
  readonly ring: RealRing;
  /** By index of the node: the port that its peers dial. */
  readonly #proxyPorts: number[] = [];
  readonly #entryPoint: string | null;
  /** Nodes that belong to the ring, running or not; those that are leaving too. */
  readonly members = new Set<RealNode>();
  /** Processes that ended by themselves, and how. */
  readonly unexpectedEnds: string[] = [];
  readonly #mayEnd = new Set<RealNode>();
  readonly #leavers = new Set<RealNode>();

  private constructor(ring: RealRing, entryPoint: string | null) {
    this.ring = ring;
    this.#entryPoint = entryPoint;
    this.links = new PeerLinks((index) => {
      const node = this.ring.nodes[index];
      return node?.isRunning === true ? (node.process?.pid ?? null) : null;
    });
  }

  /** `entryPoint`: the script of the nodes; null: the program itself. */
  static async create(entryPoint: string | null): Promise<FaultyRing> {
    return new FaultyRing(await RealRing.create({ directory: await mkdtemp(path.join(os.tmpdir(), 'dht-faulty-ring-')) }), entryPoint);
  }

  /** Starts a new node that joins the members, or founds the ring; doesn't wait for it. */
  async add(): Promise<RealNode> {
    const node = await this.ring.add();
    const [port = 0] = await freePorts(1);
    this.#proxyPorts[node.index] = await this.links.listen(node.index, node.port, port);
    this.start(node);
    return node;
  }

  /** Starts the node's process with what is on its disk. */
  start(node: RealNode): void {
    const seeds = [...this.members].filter((other) => other !== node).flatMap((other) => ['--join', this.#advertised(other)]);
    this.ring.start(node, ['--advertise', this.#advertised(node), ...seeds], this.#entryPoint);
    this.members.add(node);
    this.#mayEnd.delete(node);
    const { process: child } = node;
    void node.exited.then((code) => {
      if (code === 0 && this.#leavers.has(node)) this.members.delete(node);
      else if (node.process === child && !this.#mayEnd.has(node)) this.unexpectedEnds.push(`${node.name} ended with ${code === null ? 'a signal' : `code ${code}`}, see ${node.logFile}`);
    });
  }

  async kill(node: RealNode): Promise<void> {
    this.#mayEnd.add(node);
    node.kill('SIGKILL');
    await node.exited;
  }

  /** What is on the disk of a node that isn't running is gone. */
  async wipe(node: RealNode): Promise<void> {
    await rm(this.ring.directoryOf(node), { recursive: true });
  }

  /** Asks the node to leave; resolves once its process has ended with 0, or when the time is over: then it is still at it. */
  async leave(node: RealNode, deadlineMs: number): Promise<boolean> {
    this.#leavers.add(node);
    await node.admin('/v1/node/leave', { method: 'POST' });
    const code = await Promise.race([node.exited, new Promise<number>((resolve) => { setTimeout(resolve, deadlineMs, -1).unref(); })]);
    return code === 0;
  }

  async untilReady(node: RealNode): Promise<void> {
    await this.ring.untilReady(node, READY_MS_MAX);
  }

  /** What is missing until all members serve, all copies are where they belong and no fault is active; null: nothing. */
  async lack(): Promise<string | null> {
    const members = [...this.members];
    const down = members.filter((node) => !node.isRunning);
    if (down.length > 0) return `${down.map(({ name }) => name).join(', ')} not running`;
    if (!this.links.isWhole) return 'links are cut';
    return ringLack(members, members.length);
  }

  untilWhole(deadlineMs: number): Promise<number> {
    return untilWhole(() => this.lack(), deadlineMs);
  }

  /** `isKept`: data and logs stay for whoever looks for the reason. */
  async stop(isKept: boolean): Promise<void> {
    for (const node of this.ring.nodes) {
      this.#mayEnd.add(node);
      if (node.isRunning) node.kill('SIGCONT');
    }
    await this.ring.stop();
    await this.links.close();
    if (!isKept) await rm(this.ring.directory, { recursive: true });
  }

  #advertised(node: RealNode): string {
    return `127.0.0.1:${this.#proxyPorts[node.index] ?? 0}`;
  }
}
