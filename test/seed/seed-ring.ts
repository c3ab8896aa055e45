/**
 * A ring as the assignment's cases see it: nodes by name, what each shows, and the operations. Two kinds of ring
 * implement it, one in the simulator and one of real processes, so both are held to the same cases.
 *
 * The oracle is written down here once more, from the definitions alone: key = SHA-256 mod 2^M of host and port, the owner
 * of a file is the first node clockwise from SHA-256 mod 2^M of its name.
 */
import { createHash } from 'node:crypto';

export const KEY_BITS = 16;

export interface ShownAddress {
  readonly host: string;
  readonly port: number;
  readonly key: number;
}

export interface ShownNode extends ShownAddress {
  readonly M: number;
  readonly N: number;
  readonly successor: ShownAddress | null;
  readonly predecessor: ShownAddress | null;
  readonly successors: readonly ShownAddress[];
  readonly files: readonly string[];
  readonly backUpFiles: readonly string[];
}

export interface SeedRing {
  /** Names (`host:port`) of twelve nodes, to be started in this order. */
  readonly names: readonly string[];
  /** Starts a node that joins through `seed`, or founds the ring; resolves when it answers. */
  start(name: string, seed: string | null): Promise<void>;
  show(name: string): Promise<ShownNode>;
  put(through: string, file: string, body: Buffer): Promise<void>;
  /** Null: there is no such file. */
  get(through: string, file: string): Promise<Buffer | null>;
  leave(name: string): Promise<void>;
  /** SIGKILL. */
  kill(name: string): Promise<void>;
  /** Whether the node's process has ended by itself, in order. */
  hasEnded(name: string): boolean;
  /** Asks again and again until `problem` answers null; throws what it said last when `withinMs` is over. */
  within(withinMs: number, problem: () => Promise<string | null>): Promise<void>;
}

export interface ExpectedNode {
  readonly name: string;
  readonly key: number;
}

const positionOf = (text: string): number => Number(BigInt(`0x${createHash('sha256').update(text).digest('hex')}`) % BigInt(2 ** KEY_BITS));

export function keyOf(name: string): number {
  const colon = name.lastIndexOf(':');
  return positionOf(name.slice(0, colon) + name.slice(colon + 1));
}

/** The nodes by key. */
export function ringOf(names: readonly string[]): readonly ExpectedNode[] {
  return names.map((name) => ({ name, key: keyOf(name) })).sort((a, b) => a.key - b.key);
}

/** The nodes that hold the file, the owner first. */
export function holdersOf(file: string, names: readonly string[], copies: number): readonly string[] {
  const ring = ringOf(names);
  const position = positionOf(file);
  const first = ring.findIndex(({ key }) => key >= position);
  const start = first === -1 ? 0 : first;
  return Array.from({ length: Math.min(copies, ring.length) }, (_, i) => ring[(start + i) % ring.length]?.name ?? '');
}

export function ownerOf(file: string, names: readonly string[]): string {
  return holdersOf(file, names, 1)[0] ?? '';
}

export function textOf(address: ShownAddress | null): string {
  return address === null ? 'none' : `${address.host}:${address.port}`;
}

/** What is wrong with the pointers that the nodes show, or null. */
export function pointerProblem(shown: readonly ShownNode[], names: readonly string[]): string | null {
  const ring = ringOf(names);
  for (const node of shown) {
    const own = textOf(node);
    const index = ring.findIndex(({ name }) => name === own);
    const at = (offset: number): string => ring[(index + offset + ring.length) % ring.length]?.name ?? '';
    if (textOf(node.predecessor) !== at(-1)) return `${own} shows predecessor ${textOf(node.predecessor)}, right is ${at(-1)}`;
    if (textOf(node.successor) !== at(1)) return `${own} shows successor ${textOf(node.successor)}, right is ${at(1)}`;
    const successors = Array.from({ length: Math.max(1, Math.min(4, ring.length - 1)) }, (_, i) => at(i + 1)).join(' ');
    if (node.successors.map(textOf).join(' ') !== successors) return `${own} shows successors ${node.successors.map(textOf).join(' ')}, right is ${successors}`;
  }
  return null;
}

/** What is wrong with who shows which files as its own, or null. */
export function ownershipProblem(shown: readonly ShownNode[], names: readonly string[], files: readonly string[]): string | null {
  for (const node of shown) {
    const own = textOf(node);
    const expected = files.filter((file) => ownerOf(file, names) === own).sort().join(' ');
    const actual = [...node.files].sort().join(' ');
    if (actual !== expected) return `${own} shows the files [${actual}], right is [${expected}]`;
  }
  return null;
}

/** What is wrong with who shows which files as another's, once nothing moves, or null. */
export function backUpProblem(shown: readonly ShownNode[], names: readonly string[], files: readonly string[]): string | null {
  for (const node of shown) {
    const own = textOf(node);
    const expected = files.filter((file) => holdersOf(file, names, 3).slice(1).includes(own)).sort().join(' ');
    const actual = [...node.backUpFiles].sort().join(' ');
    if (actual !== expected) return `${own} shows the backUpFiles [${actual}], right is [${expected}]`;
  }
  return null;
}
