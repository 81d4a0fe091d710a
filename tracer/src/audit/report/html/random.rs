//! The random conversations: how many, what they went through, and those that differ.

use maud::{Markup, html};

use super::{badge, ladder};
use crate::audit::report::{
    model::{Conversation, Random, Report, Undecided},
    words::{several, span, thousands},
};

/// How many conversations are drawn.
const SHOWN: usize = 20;

pub(super) fn section(report: &Report, random: &Random) -> Markup {
    let Random {
        seed,
        conversations,
        observations,
        inconclusive,
        undecided,
        duration_ms,
        transitions,
        differences,
    } = random;
    let unexplained = report.unexplained_conversations();
    let drawn = differences.len().min(SHOWN);
    let last = seed.saturating_add(conversations.saturating_sub(1));
    html! {
        section #random {
            h2 { "Random conversations" }
            p.lead {
                (several(*conversations, "conversation", "conversations")) " of random calls and segments, seeds " (seed)
                " to " (last) ", in " (span(duration_ms * 1_000)) ": the model judged "
                (several(*observations, "observation", "observations")) ". "
                @if *inconclusive > 0 {
                    (several(*inconclusive, "conversation has", "conversations have"))
                    " no verdict: events were lost, or what differed did not when it was played again"
                    @for (at, Undecided { seed, why }) in undecided.iter().take(SHOWN).enumerate() {
                        @if at == 0 { " (" } @else { "; " }
                        "seed " (seed) ": " (why)
                    }
                    @if undecided.is_empty() { ". " } @else { "). " }
                }
                @if unexplained == 0 { "Nothing is unexplained." }
                @else { (several(unexplained as u64, "conversation has", "conversations have")) " something that nothing explains." }
            }
            @for difference in differences.iter().take(SHOWN) { (one(difference)) }
            @if unexplained > drawn {
                p { "And " (several((unexplained - drawn) as u64, "more conversation", "more conversations")) ", in " code { "report.json" } "." }
            }
            @if !transitions.is_empty() {
                h3 { "Transitions that they went through" }
                div.sysctls.transitions {
                    @for (transition, count) in transitions {
                        div { code { (transition.replace('>', " → ")) } " " span { (thousands(*count)) } }
                    }
                }
            }
        }
    }
}

fn one(conversation: &Conversation) -> Markup {
    let Conversation { seed, family, source, problem, ladder } = conversation;
    html! {
        details.run.fail open {
            summary { (badge("fail", "fail")) " " code { "seed " (seed) } " " small { (family.label()) } }
            dl.problem { dt { "expected" } dd { (problem.expected) } dt { "seen" } dd { (problem.seen) } }
            (ladder::figure(ladder, &[], &format!("Seed {seed}, {}", family.label())))
            pre { (source) }
        }
    }
}
