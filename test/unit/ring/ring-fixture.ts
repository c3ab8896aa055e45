/** Small rings for tests: members with given tokens, layouts of them, ids and joiners by number. */
import { hash } from 'node:crypto';
import type { ClusterId, NodeId } from '../../../src/domain/ids.ts';
import type { Layout, LayoutMember } from '../../../src/domain/layout.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import type { Joiner } from '../../../src/layout/founding-layout.ts';
import { foundingArcs } from '../../../src/layout/layout-arcs.ts';
import { voterCount } from '../../../src/layout/voter-choice.ts';

/** An id that begins with the text, so that members sort as their labels do. */
export function nodeIdOf(label: string): NodeId {
  const start = [...label].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
  return start.padEnd(32, '0').slice(0, 32) as NodeId;
}

/** Ids like those of real nodes: in no order. */
export function randomIdOf(label: string): NodeId {
  return hash('sha256', label, 'hex').slice(0, 32) as NodeId;
}

export function memberAt(label: string, tokens: readonly number[], zone = ''): LayoutMember {
  const name = `${label}:7000`;
  return { nodeId: nodeIdOf(label), name, advertise: name, tokens: tokens as readonly Position[], zone, weight: 1, state: 'member' };
}

/** A stable layout of these members; `keyBits` may be smaller than a node allows, for the papers' examples. */
export function layoutOf(members: readonly LayoutMember[], options: { keyBits?: number; replicas?: number; epoch?: number } = {}): Layout {
  const sorted = [...members].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const replicas = options.replicas ?? 3;
  return {
    clusterId: nodeIdOf('cluster') as unknown as ClusterId,
    epoch: options.epoch ?? 1,
    keyBits: options.keyBits ?? 8,
    replicas,
    tokensPerNode: 1,
    candidatesPerToken: 1,
    members: sorted,
    voters: sorted.slice(0, voterCount(sorted.length)).map((member) => member.nodeId),
    phase: 'stable',
    arcs: foundingArcs(sorted, replicas),
    recoveries: [],
  };
}

export function joinerOf(name: string, zone = '', nodeId: NodeId = randomIdOf(name)): Joiner {
  return { nodeId, name, advertise: name, zone, weight: 1 };
}

export const position = (value: number): Position => value as Position;

export const nobody: ReadonlySet<NodeId> = new Set();

export function without<T>(list: readonly T[], item: T): T[] {
  return list.filter((other) => other !== item);
}
