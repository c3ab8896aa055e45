/** What nodes of the layout kernel keep, say to each other, and see of their world. */
import type { Epoch, NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import type { Position } from '../../domain/ring-position.ts';
import type { ChainReply, ChainRequest, LayoutSlot } from '../../layout/chain-acceptor.ts';
import type { Joiner } from '../../layout/founding-layout.ts';

export interface Item {
  readonly version: number;
  readonly isTombstone: boolean;
}

/** What survives a crash. `items` and `floors` by index of `KERNEL_POSITIONS`. */
export interface KernelNodeDisk {
  readonly nodeId: NodeId;
  readonly name: string;
  layout: Layout | null;
  slot: LayoutSlot;
  caught: Set<Position>;
  readonly items: (Item | null)[];
  readonly floors: number[];
}

export const KERNEL_KEY_BITS = 8;
export const KERNEL_POSITIONS: readonly Position[] = [20, 75, 140, 210] as Position[];

export type KernelRequest =
  | { readonly kind: 'hello'; readonly nodeId: NodeId; readonly epoch: Epoch; readonly caught: readonly Position[]; readonly joiner: Joiner | null; readonly isLeaving: boolean }
  | { readonly kind: 'chain'; readonly request: ChainRequest }
  | { readonly kind: 'page'; readonly epoch: Epoch }
  | { readonly kind: 'query'; readonly epoch: Epoch; readonly at: number }
  | { readonly kind: 'store'; readonly epoch: Epoch; readonly at: number; readonly item: Item }
  | { readonly kind: 'erase'; readonly epoch: Epoch; readonly at: number; readonly version: number };

export type KernelReply =
  | { readonly kind: 'layout'; readonly layout: Layout }
  | { readonly kind: 'chain'; readonly reply: ChainReply }
  | { readonly kind: 'page'; readonly epoch: Epoch; readonly items: readonly (Item | null)[]; readonly floors: readonly number[] }
  | { readonly kind: 'item'; readonly item: Item | null }
  | { readonly kind: 'stored' };

/** What a node sees of the world. Replies come to this life of the node alone, perhaps twice, perhaps never. */
export interface KernelNet {
  now(): number;
  later(delayMs: number, run: () => void): void;
  /** `nodeId` null: whoever has the name. */
  call(name: string, nodeId: NodeId | null, request: KernelRequest, onReply: (reply: KernelReply) => void): void;
  adopted(layout: Layout): void;
  exit(): void;
}
