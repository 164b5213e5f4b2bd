//! The history of all nights with its charts.

use super::{AVERAGE, Judging};
use crate::analysis::nights::quantity::Charted;
use crate::analysis::nights::schema::{Chart, History, SCHEMA, Standing};
use crate::error::Result;
use crate::stats::charts;
use crate::stats::descriptive::mean;

impl Judging<'_> {
    pub(super) fn history(mut self) -> Result<History> {
        let charts = self.quantities.clone().iter().map(|&held| self.chart(held)).collect::<Result<Vec<Chart>>>()?;
        if let [.., before, last] = self.observed
            && last.newest
            && last.night.started < before.night.started
        {
            self.notes.push(format!(
                "{} began before {} by the clock, and is judged as the newest all the same.",
                last.night.place, before.night.place
            ));
        }
        for (held, night) in self.observed.iter().zip(&self.nights) {
            if night.standing == Standing::LeftOut {
                self.notes.push(format!("{} is left out: {}.", night.place, night.why));
            } else if let Some(why) = &held.incomplete {
                self.notes.push(format!("{} is in no reference: {why}.", night.place));
            }
        }
        let by_night: Vec<String> = charts
            .iter()
            .filter(|chart| chart.by_night && chart.metric.is_of_runs())
            .map(|chart| chart.metric.name().into_owned())
            .collect();
        if !by_night.is_empty() {
            self.notes.push(format!(
                "Nights differ by more than the runs within a night in {}: there the night is the unit, not the run, and a change takes \
                 longer to show. Something varies from night to night: a seed that all runs share, the machine, the data?",
                by_night.join(", ")
            ));
        }
        Ok(History {
            schema: SCHEMA.to_owned(),
            red: self.nights.last().is_some_and(|night| night.standing == Standing::Red),
            sweeps: self.nights,
            baseline: self.reference.len().min(self.rules.baseline.unwrap_or(usize::MAX)),
            reference: self.reference,
            latest_only: true,
            limit: self.rules.between,
            alarm: self.alarm,
            fastest: self.fastest,
            charts,
            signals: self.signals,
            notes: self.notes,
        })
    }

    fn chart(&self, (metric, weight): (Charted, f64)) -> Result<Chart> {
        let values: Vec<Option<f64>> = self
            .observed
            .iter()
            .zip(&self.nights)
            .map(|(held, night)| {
                let own = held.of(metric).filter(|values| !values.is_empty());
                own.filter(|_| night.standing != Standing::LeftOut).map(mean)
            })
            .collect();
        let of_reference: Vec<f64> = self.reference.iter().filter_map(|&place| values[place]).collect();
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let period = if of_reference.is_empty() { &known } else { &of_reference };
        let limits = if period.is_empty() {
            charts::Limits { centre: 0.0, sigma: 0.0, low: 0.0, high: 0.0 }
        } else {
            charts::limits(period)?
        };
        Ok(Chart {
            metric,
            ewma: charts::ewma(&values, &limits, AVERAGE),
            cusum: charts::cusum(&values, &limits),
            ranges: charts::ranges(&values),
            range_limit: charts::range_limit(period),
            values,
            centre: limits.centre,
            sigma: limits.sigma,
            low: limits.low,
            high: limits.high,
            evidence: self.evidence.iter().map(|held| held.get(&metric).copied()).collect(),
            weight,
            by_night: self.by_night.get(&metric).copied().unwrap_or(!metric.is_of_runs()),
        })
    }
}
