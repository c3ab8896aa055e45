/** The committed dashboards, as the tests read them: panels that ask, with the row they are in. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const DASHBOARD_FOLDER = path.resolve(import.meta.dirname, '../../charts/dht/files/dashboards');

export interface Target {
  readonly expr: string;
  readonly refId: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: { readonly uid: string };
  readonly fieldConfig: { readonly defaults: { readonly unit: string; readonly links?: readonly { readonly url?: string }[] } };
  readonly options: { readonly yAxis?: { readonly unit?: string } };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}
export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly multi: boolean;
  readonly includeAll: boolean;
  readonly allValue?: string;
  readonly refresh?: number;
  readonly datasource?: { readonly uid: string };
  readonly definition?: string;
  readonly query: unknown;
}
export interface DashboardFile {
  readonly uid: string;
  readonly title: string;
  readonly tags: readonly string[];
  readonly editable: boolean;
  readonly graphTooltip: number;
  readonly refresh: string;
  readonly time: { readonly from: string; readonly to: string };
  readonly links: readonly { readonly type: string; readonly tags: readonly string[]; readonly placement?: string }[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] };
  readonly panels: readonly Panel[];
}

export const dashboardTexts = (): ReadonlyMap<string, string> => new Map(readdirSync(DASHBOARD_FOLDER).sort().map((name) => [name, readFileSync(path.join(DASHBOARD_FOLDER, name), 'utf8')]));

export const dashboardFiles = (): readonly DashboardFile[] => [...dashboardTexts().values()].map((text) => JSON.parse(text) as DashboardFile);

/** Panels that ask Prometheus: all but the rows. */
export const askingPanels = (dashboard: DashboardFile): readonly (Panel & { readonly targets: readonly Target[] })[] => dashboard.panels.filter((panel) => panel.type !== 'row').map((panel) => ({ ...panel, targets: panel.targets ?? [] }));
