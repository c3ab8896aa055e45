/**
 * What an orchestrator (Kubernetes) knows and a node may ask: how many nodes are wanted, and the record that all nodes
 * of one installation share. Nothing here is ever truth about ownership or liveness, and nothing waits for it but
 * founding a ring: an orchestrator that doesn't answer is "unknown", and doubt is harmless.
 * Source: protocol section A.7; [K8s StatefulSet] "Deployment and Scaling Guarantees".
 */

/** How many nodes are wanted, by a fresh read. */
export type DesiredNodes =
  | {
      readonly kind: 'known';
      /** Of the set itself: another one under the same name is another installation. */
      readonly uid: string;
      readonly replicas: number;
      /** Ordinal of the first node. */
      readonly firstOrdinal: number;
      readonly isDeleting: boolean;
    }
  /** There is no such set (any more). */
  | { readonly kind: 'gone' }
  /** No answer, no right to ask, or an answer that makes no sense. */
  | { readonly kind: 'unknown'; readonly detail: string };

/** What the nodes of one installation share; each entry is filled once and never changed by a node. */
export interface ClusterRecord {
  readonly secret: string | null;
  readonly clusterId: string | null;
}

export type ClusterRecordOutcome =
  | { readonly kind: 'record'; readonly record: ClusterRecord; readonly version: string }
  | { readonly kind: 'unknown'; readonly detail: string };

export type FillOutcome =
  | { readonly kind: 'filled' }
  /** Somebody else changed the record in between: read it again. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'unknown'; readonly detail: string };

/** Whether a node may found the ring of its installation. */
export type FoundingPermit = { readonly kind: 'permitted' } | { readonly kind: 'refused'; readonly detail: string };

/** Never rejects, and answers within a bounded time. */
export interface ClusterInfo {
  desired(): Promise<DesiredNodes>;
  record(): Promise<ClusterRecordOutcome>;
  /** Writes these entries if the record still has the version. */
  fill(entries: Partial<ClusterRecord>, version: string): Promise<FillOutcome>;
}
