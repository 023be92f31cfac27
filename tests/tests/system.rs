//! The whole system, one file of stories a subject.

#[path = "system/artifacts.rs"]
mod artifacts;
#[path = "system/bad_input.rs"]
mod bad_input;
#[path = "system/chaos.rs"]
mod chaos;
#[path = "system/doctor.rs"]
mod doctor;
#[path = "system/drained.rs"]
mod drained;
#[path = "system/extremes.rs"]
mod extremes;
#[path = "system/half_open.rs"]
mod half_open;
#[path = "system/hostile.rs"]
mod hostile;
#[path = "system/house.rs"]
mod house;
#[path = "system/imported.rs"]
mod imported;
#[path = "system/insight.rs"]
mod insight;
#[path = "system/killed.rs"]
mod killed;
#[path = "system/limits.rs"]
mod limits;
#[path = "system/many_askers.rs"]
mod many_askers;
#[path = "system/migrations.rs"]
mod migrations_lint;
#[path = "system/mutants.rs"]
mod mutants;
#[path = "system/objectives.rs"]
mod objectives;
#[path = "system/one_trial.rs"]
mod one_trial;
#[path = "system/overdue.rs"]
mod overdue;
#[path = "system/planted.rs"]
mod planted;
#[path = "system/priorities.rs"]
mod priorities;
#[path = "system/pruned.rs"]
mod pruned;
#[path = "system/repeated.rs"]
mod repeated;
#[path = "system/replay.rs"]
mod replay;
#[path = "system/request_ids.rs"]
mod request_ids;
#[path = "system/resumed.rs"]
mod resumed;
#[path = "system/roles.rs"]
mod roles;
#[path = "system/side_by_side.rs"]
mod side_by_side;
#[path = "system/simulation.rs"]
mod simulation;
#[path = "system/steering.rs"]
mod steering;
#[path = "system/stopped_coordinator.rs"]
mod stopped_coordinator;
#[path = "system/together.rs"]
mod together;
#[path = "system/unheard.rs"]
mod unheard;
#[path = "system/unwell.rs"]
mod unwell;
#[path = "system/views.rs"]
mod views;
#[path = "system/withdrawn.rs"]
mod withdrawn;
