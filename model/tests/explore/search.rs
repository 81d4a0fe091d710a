//! Breadth first over every order of events, each state once.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::properties::{Check, NEVER_ENDS, PROPERTIES};
use crate::world::{Action, Scenario, StepFn, Turn, World};

/// A property that does not hold, and the shortest way there.
#[derive(Debug)]
pub struct Breach {
    pub property: &'static str,
    pub story: String,
}

pub struct Found {
    /// Distinct states.
    pub states: usize,
    /// True when every state within the bounds was seen.
    pub complete: bool,
    pub breach: Option<Breach>,
}

/// How many steps a fair continuation may take before it counts as endless.
const PATIENCE: usize = 400;

/// Explores until `most` distinct states have been seen, or a property (`only` this one, if given) is broken.
pub fn explore(scenario: &Scenario, step: StepFn, most: usize, only: Option<&str>) -> Found {
    let asked = |name: &str| only.is_none_or(|only| only == name);
    let hasher = RandomState::new();
    let mut seen: HashSet<u64> = HashSet::new();
    // How each state was reached, for the story of a breach.
    let mut ways: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut queue: VecDeque<(usize, World)> = VecDeque::new();
    let start = scenario.start(step);
    seen.insert(hasher.hash_one(&start));
    queue.push_back((0, start));
    let mut actions = Vec::new();
    while let Some((number, world)) = queue.pop_front() {
        if let Some(property) = broken_state(&world, scenario, step, &asked) {
            let mut story = story(scenario, step, &ways, number, None);
            story += &continuation(&world, scenario, step);
            let breach = Some(Breach { property, story });
            return Found { states: seen.len(), complete: false, breach };
        }
        world.actions(scenario, &mut actions);
        for action in actions.clone() {
            let mut next = world.clone();
            if let Some(happened) = next.apply(scenario, step, action) {
                let broken = PROPERTIES.iter().find(|property| match property.check {
                    Check::Transition(check) => asked(property.name) && !check(&next, &happened, scenario),
                    _ => false,
                });
                if let Some(property) = broken {
                    let story = story(scenario, step, &ways, number, Some(action));
                    let breach = Some(Breach { property: property.name, story });
                    return Found { states: seen.len(), complete: false, breach };
                }
            }
            if seen.insert(hasher.hash_one(&next)) {
                if seen.len() >= most {
                    return Found { states: seen.len(), complete: false, breach: None };
                }
                ways.push((number, Some(action)));
                queue.push_back((ways.len() - 1, next));
            }
        }
    }
    Found { states: seen.len(), complete: true, breach: None }
}

fn broken_state(
    world: &World,
    scenario: &Scenario,
    step: StepFn,
    asked: &impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let asked_for = || PROPERTIES.iter().filter(|property| asked(property.name));
    for property in asked_for() {
        if let Check::State(check) = property.check
            && !check(world, scenario)
        {
            return Some(property.name);
        }
    }
    let ends = asked_for().any(|property| matches!(property.check, Check::End(_)));
    if !ends && !asked(NEVER_ENDS) {
        return None;
    }
    let Some(end) = world.fair(scenario, step, PATIENCE) else {
        return asked(NEVER_ENDS).then_some(NEVER_ENDS);
    };
    for property in asked_for() {
        if let Check::End(check) = property.check
            && !check(&end, scenario)
        {
            return Some(property.name);
        }
    }
    None
}

/// How it goes on if nothing is lost any more: the first thirty steps.
fn continuation(world: &World, scenario: &Scenario, step: StepFn) -> String {
    let mut world = world.clone();
    let mut text = String::from("  and without further loss\n");
    let mut turn = Turn::default();
    for _ in 0..30 {
        let Some(action) = world.fair_action(scenario, &mut turn) else { break };
        text += &one(&mut world, scenario, step, action);
    }
    text
}

fn one(world: &mut World, scenario: &Scenario, step: StepFn, action: Action) -> String {
    let what = match action {
        Action::Deliver(end, index) | Action::Repeat(end, index) | Action::Lose(end, index) => {
            let packet = world.ends[end].incoming[index];
            format!("{action:?} {}{}", packet.segment, if packet.old { " (old)" } else { "" })
        }
        _ => format!("{action:?}"),
    };
    let trail =
        world.apply(scenario, step, action).map(|happened| happened.trail.to_string()).unwrap_or_default();
    let [a, b] = &world.ends;
    format!("  {what} [{trail}] -> {} | {}\n", a.tcb.state, b.tcb.state)
}

fn story(
    scenario: &Scenario,
    step: StepFn,
    ways: &[(usize, Option<Action>)],
    mut number: usize,
    last: Option<Action>,
) -> String {
    let mut actions: Vec<Action> = last.into_iter().collect();
    while let (from, Some(action)) = ways[number] {
        actions.push(action);
        number = from;
    }
    let mut world = scenario.start(step);
    let mut text = String::new();
    for action in actions.into_iter().rev() {
        text += &one(&mut world, scenario, step, action);
    }
    let [a, b] = &world.ends;
    text += &format!("  delivered {} and {}\n", a.delivered, b.delivered);
    text
}
