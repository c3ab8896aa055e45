/**
 * What the dashboards have in common: variables, links to each other, time range, and marks where the ring changed. Fixed
 * uids, so that an upgrade replaces a dashboard instead of adding one, and links stay.
 */
import {
  AnnotationQueryBuilder, DashboardBuilder, DashboardCursorSync, DashboardLinkBuilder, DashboardLinkType, DatasourceVariableBuilder, QueryVariableBuilder, RowBuilder, VariableRefresh, VariableSort,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DATA_SOURCE, type PanelSource } from './panels.ts';
import { of } from './queries.ts';

export const TAG = 'dht';

const ALL = { selected: true, text: ['All'], value: ['$__all'] };

export interface Row {
  readonly title: string;
  readonly panels: readonly PanelSource[];
}

export interface DashboardText {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}

export function dashboard({ uid, title, description, rows }: DashboardText): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .variables([
      new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'),
      // One at a time: releases of one name in two namespaces are two rings. Without namespaces it is empty, which matches.
      asked(new QueryVariableBuilder('namespace').label('Namespace'), 'label_values(dht_ring_epoch, namespace)'),
      asked(new QueryVariableBuilder('job').label('Job'), 'label_values(dht_ring_epoch{namespace=~"$namespace"}, job)').multi(true).includeAll(true).allValue('.+').current(ALL),
      asked(new QueryVariableBuilder('instance').label('Instance'), 'label_values(dht_ring_epoch{namespace=~"$namespace",job=~"$job"}, instance)')
        .multi(true).includeAll(true).allValue('.+').current(ALL),
    ])
    .annotations([
      new AnnotationQueryBuilder()
        .name('Ring changes')
        .datasource(DATA_SOURCE)
        .enable(true)
        .hide(false)
        .iconColor('blue')
        .expr(`max by (job) (changes(${of('dht_ring_epoch')}[$__rate_interval])) > 0`)
        .titleFormat('{{job}}: the layout changed')
        .step('30s'),
    ])
    .links([new DashboardLinkBuilder('dht').type(DashboardLinkType.Dashboards).tags([TAG]).keepTime(true).includeVars(true)]);
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  return numbered(builder.build());
}

function asked(variable: QueryVariableBuilder, question: string): QueryVariableBuilder {
  return variable.query({ query: question, refId: 'PrometheusVariableQueryEditor-VariableQuery' }).definition(question).datasource(DATA_SOURCE).refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalAsc);
}

/** Panels get the ids that older Grafanas ask for; links leave the menu, in which the SDK puts them, for the bar. */
function numbered(built: Dashboard): Dashboard {
  const panels = (built.panels ?? []).map((panel, i) => ({ ...panel, id: i + 1 }));
  const links = (built.links ?? []).map(({ placement: _menu, ...link }) => link);
  return { ...built, panels, links };
}
