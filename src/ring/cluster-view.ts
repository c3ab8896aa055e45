/**
 * What a data operation sees of the cluster: one immutable value (layout, who is reachable), handed down so that every
 * placement decision is a function of something that can be printed in a test.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';

/** Nodes with a strained disk, as far as they told this one; it may be among them. */
export interface Strain {
  /** Answer slowly: asked after the others. */
  readonly slow: ReadonlySet<NodeId>;
  /** Take no clients' bodies. */
  readonly full: ReadonlySet<NodeId>;
}

export const NO_STRAIN: Strain = { slow: new Set(), full: new Set() };

export interface ClusterView {
  readonly self: NodeId;
  readonly layout: Layout;
  /** Nodes that count as down or suspect here and now: asked last, skipped by pointers. */
  readonly unreachable: ReadonlySet<NodeId>;
  readonly strain: Strain;
}

/** Where shells get the present view, and what they do when a message shows that it is old. */
export interface ViewSource {
  /** Null: no layout yet. Never held over an await: ask again. */
  current(): ClusterView | null;
  /**
   * Null when register messages may be answered now; otherwise wait for it and look again. Closed while a newer layout
   * is being made durable (rule R14) and after a boot until the recovered log position is confirmed (rule R16).
   */
  gate(): Promise<void> | null;
  /** Takes over a layout that a peer showed, when it is newer; resolves when it is durable and current (or was not newer). */
  adopt(layout: Layout): Promise<void>;
}
