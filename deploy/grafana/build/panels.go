package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// In expressions "@" stands for what the variables select, "#" for the range of a rate.
var shorthand = strings.NewReplacer("@", `job="$job",instance=~"$instance"`, "#", "$__rate_interval")

// query is one PromQL expression; legend names its series by their labels.
type query struct{ expr, legend string }

// panel is one picture: its width is of 24, its unit one of Grafana's.
type panel struct {
	title, text, unit string
	width             uint32
	number            bool // the last value instead of a curve
	stacked           bool
	logarithmic       bool
	queries           []query
}

// board is one dashboard.
type board struct {
	uid, title, text string
	panels           []panel
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("$datasource")}
}

func (board board) build() (dashboard.Dashboard, error) {
	builder := dashboard.NewDashboardBuilder("Voltgate / "+board.title).
		Uid(board.uid).
		Description(board.text).
		Tags([]string{"voltgate"}).
		Time("now-3h", "now").
		Refresh("30s").
		Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Voltgate").
			Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"voltgate"}).
			AsDropdown(true).IncludeVars(true).KeepTime(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(values("job", "label_values(voltgate_build_info, job)")).
		WithVariable(values("instance", `label_values(voltgate_build_info{job="$job"}, instance)`).
			Multi(true).IncludeAll(true).AllValue(".+"))
	for _, panel := range board.panels {
		builder = builder.WithPanel(panel.build())
	}
	return builder.Build()
}

func values(name, expr string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Query(dashboard.StringOrMap{String: &expr}).
		Datasource(source()).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc)
}

func (panel panel) build() cog.Builder[dashboard.Panel] {
	if panel.number {
		builder := stat.NewPanelBuilder().Title(panel.title).Description(panel.text).Unit(panel.unit).
			Datasource(source()).Span(panel.width).Height(4).GraphMode(common.BigValueGraphModeArea).
			ColorMode(common.BigValueColorModeNone).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
		for number, query := range panel.queries {
			builder = builder.WithTarget(query.build(number))
		}
		return builder
	}
	builder := timeseries.NewPanelBuilder().Title(panel.title).Description(panel.text).Unit(panel.unit).
		Datasource(source()).Span(panel.width).Height(8).LineWidth(1).FillOpacity(10).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).
			Sort(common.SortOrderDescending))
	if panel.logarithmic {
		builder = builder.ScaleDistribution(common.NewScaleDistributionConfigBuilder().
			Type(common.ScaleDistributionLog).Log(10))
	} else {
		builder = builder.Min(0)
	}
	if panel.stacked {
		builder = builder.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	for number, query := range panel.queries {
		builder = builder.WithTarget(query.build(number))
	}
	return builder
}

func (query query) build(number int) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().
		Expr(shorthand.Replace(query.expr)).
		LegendFormat(query.legend).
		RefId(string(rune('A' + number)))
}

// quantiles of a histogram, by one label or none.
func quantiles(metric, by string) []query {
	labels, legend := "le", "p%"
	if by != "" {
		labels, legend = "le, "+by, "{{"+by+"}} p%"
	}
	var all []query
	for _, q := range []struct{ value, name string }{{"0.5", "50"}, {"0.99", "99"}} {
		expr := "histogram_quantile(" + q.value + ", sum by (" + labels + ") (rate(" + metric + "_bucket{@}[#])))"
		all = append(all, query{expr, strings.Replace(legend, "%", q.name, 1)})
	}
	return all
}

func one(expr, legend string) []query { return []query{{expr, legend}} }
