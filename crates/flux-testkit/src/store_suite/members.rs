//! The engines of the cluster.

use std::time::Duration;

use flux_core::clock::ClockOffset;
use flux_core::ports::members::{Joined, Member, MemberState, NewMember};

use super::fixture::*;

async fn states(ports: &Ports) -> Vec<(u32, MemberState)> {
    let members = ports.members.members().await.expect("members");
    let mut states: Vec<_> = members.iter().map(|m| (m.pid, m.state)).collect();
    states.sort_by_key(|(pid, _)| *pid);
    states
}

/// A member is shown as it described itself.
pub async fn a_member_joins(ports: Ports) {
    let new = NewMember {
        pool: Some("pool".to_owned()),
        concurrency: 7,
        address: Some("http://host:7520".to_owned()),
        ..member(1)
    };
    let joined = ports.members.join(new.clone(), 1, at(3)).await;
    assert_eq!(joined, Ok(Joined::Yes));
    let expected = Member {
        incarnation: new.incarnation,
        name: new.name,
        window: new.window,
        heartbeat_seq: 0,
        state: MemberState::Alive,
        heartbeat_at: at(3),
        heartbeat_age: Duration::ZERO,
        clock_offset: ClockOffset::default(),
        started_at: at(3),
        host: new.host,
        pid: new.pid,
        version: new.version,
        pool: new.pool,
        concurrency: new.concurrency,
        address: new.address.clone(),
        running: 0,
        heard: None,
    };
    assert_eq!(ports.timeless_members().await, [expected]);
}

/// Joining again is answered, changes nothing, and does not count twice.
pub async fn joining_again_changes_nothing(ports: Ports) {
    ports.engine(1).await;
    assert_eq!(
        ports.members.heartbeat(incarnation(1), at(1)).await,
        Ok(true)
    );
    let before = ports.timeless_members().await;
    assert_eq!(
        ports.members.join(member(1), 1, at(9)).await,
        Ok(Joined::Yes)
    );
    assert_eq!(ports.timeless_members().await, before);
}

/// Alive and draining members count against the limit, dead ones do not.
pub async fn a_cluster_can_be_full(ports: Ports) {
    let (draining, dead) = (ports.engine(1).await, ports.engine(2).await);
    ports.members.set_draining(draining).await.expect("drain");
    let join = async |number| ports.members.join(member(number), 2, at(0)).await;
    assert_eq!(join(3).await, Ok(Joined::Full { limit: 2 }));
    assert_eq!(states(&ports).await.len(), 2);
    ports.kill(dead, draining).await;
    assert_eq!(join(3).await, Ok(Joined::Yes));
    assert_eq!(join(4).await, Ok(Joined::Full { limit: 2 }));
}

/// Each heartbeat raises the number by one, also while draining.
pub async fn a_heartbeat_counts(ports: Ports) {
    let me = ports.engine(1).await;
    assert_eq!(ports.members.heartbeat(me, at(5)).await, Ok(true));
    ports.members.set_draining(me).await.expect("drain");
    assert_eq!(ports.members.heartbeat(me, at(6)).await, Ok(true));
    let member = ports.members.members().await.expect("members").remove(0);
    assert_eq!((member.heartbeat_seq, member.heartbeat_at), (2, at(6)));
    assert_eq!(member.started_at, at(0));
    assert_eq!(member.state, MemberState::Draining);
    assert_eq!(
        ports.members.heartbeat(incarnation(9), at(6)).await,
        Ok(false)
    );
}

/// A heartbeat tells how far the engine's calendar is from the database's: that of the last one.
pub async fn a_wrong_clock_is_measured(ports: Ports) {
    let hour = Duration::from_secs(60 * 60);
    let (right, wrong) = (ports.engine(1).await, ports.engine(2).await);
    let now = at(100_000);
    let ahead = now.plus(hour);
    // Whatever the database's clock says: two engines that beat now are an hour apart.
    for (who, calendar) in [(right, ahead), (wrong, ahead), (right, now)] {
        assert_eq!(ports.members.heartbeat(who, calendar).await, Ok(true));
    }
    let members = ports.members.members().await.expect("members");
    let offset = |who| {
        let mut all = members.iter();
        let member = all.find(|m| m.incarnation == who).expect("it is there");
        member.clock_offset.as_secs_f64()
    };
    let apart = offset(wrong) - offset(right);
    assert!((apart - hour.as_secs_f64()).abs() < 60.0, "{apart} s apart");
}

/// The age of a heartbeat is told by the database's clock, however wrong the engine's calendar is.
pub async fn the_age_of_a_heartbeat_needs_no_calendar(ports: Ports) {
    let me = ports.engine(1).await;
    for calendar in [at(-1_000_000), at(1_000_000)] {
        assert_eq!(ports.members.heartbeat(me, calendar).await, Ok(true));
        let member = ports.members.members().await.expect("members").remove(0);
        let age = member.heartbeat_age;
        assert!(age < Duration::from_secs(60), "{age:?} after a heartbeat");
    }
}

/// A convicted engine is fenced for ever: no heartbeat, no draining, no joining brings it back.
pub async fn a_convicted_engine_never_comes_back(ports: Ports) {
    let (dead, _) = ports.running().await;
    let by = ports.engine(2).await;
    ports.kill(dead, by).await;
    assert_eq!(ports.members.heartbeat(dead, at(60)).await, Ok(false));
    ports.members.set_draining(dead).await.expect("drain");
    assert_eq!(
        ports.members.join(member(1), 9, at(60)).await,
        Ok(Joined::Yes)
    );
    assert_eq!(ports.members.heartbeat(dead, at(60)).await, Ok(false));
    assert_eq!(
        states(&ports).await,
        [(1, MemberState::Dead), (2, MemberState::Alive)]
    );
}

/// The same when it owned nothing, so that no row of it need be left.
pub async fn a_forgotten_engine_never_comes_back(ports: Ports) {
    let (dead, by) = (ports.engine(1).await, ports.engine(2).await);
    ports.kill(dead, by).await;
    ports.engine(3).await;
    assert_eq!(
        ports.members.join(member(1), 9, at(60)).await,
        Ok(Joined::Yes)
    );
    assert_eq!(ports.members.heartbeat(dead, at(60)).await, Ok(false));
    assert_eq!(
        states(&ports).await,
        [(2, MemberState::Alive), (3, MemberState::Alive)]
    );
}

/// Only the number that was seen convicts, and only once.
pub async fn a_heartbeat_saves_from_conviction(ports: Ports) {
    let (who, by) = (ports.engine(1).await, ports.engine(2).await);
    assert_eq!(ports.members.heartbeat(who, at(1)).await, Ok(true));
    let convict = async |seen| ports.members.convict(who, seen, by, "silent", at(50)).await;
    assert_eq!(convict(0).await, Ok(false));
    assert_eq!(convict(2).await, Ok(false));
    assert_eq!(ports.store.failovers(9).await, Ok(vec![]));
    assert_eq!(convict(1).await, Ok(true));
    assert_eq!(convict(1).await, Ok(false));
    assert_eq!(ports.store.failovers(9).await.expect("failovers").len(), 1);
    let unknown = ports.members.convict(incarnation(9), 0, by, "x", at(50));
    assert_eq!(unknown.await, Ok(false));
}

/// A draining engine can be convicted, too.
pub async fn a_draining_engine_may_be_convicted(ports: Ports) {
    let (who, by) = (ports.engine(1).await, ports.engine(2).await);
    ports.members.set_draining(who).await.expect("drain");
    ports.kill(who, by).await;
    assert_eq!(ports.members.heartbeat(who, at(60)).await, Ok(false));
}

/// The dead are shown as long as they own something.
pub async fn the_dead_are_shown_while_they_own_something(ports: Ports) {
    let (dead, _) = ports.running().await;
    let (idle, by) = (ports.engine(2).await, ports.engine(3).await);
    ports.kill(dead, by).await;
    ports.kill(idle, by).await;
    let members = ports.members.members().await.expect("members");
    let shown = members.iter().find(|m| m.incarnation == dead);
    assert_eq!(
        shown.map(|m| (m.running, m.state)),
        Some((1, MemberState::Dead))
    );
    let alive = [(1, MemberState::Dead), (3, MemberState::Alive)];
    assert_eq!(states(&ports).await, alive);
    let freed = ports.members.take_over(dead, by, 9, 9, at(60)).await;
    assert_eq!(freed.expect("take over").len(), 1);
    assert_eq!(states(&ports).await, [(3, MemberState::Alive)]);
}

/// Who owns nothing leaves; who owns something stays until it is convicted.
pub async fn only_who_owns_nothing_leaves(ports: Ports) {
    let (owner, claimed) = ports.running().await;
    ports.members.leave(owner).await.expect("leave");
    assert_eq!(states(&ports).await, [(1, MemberState::Alive)]);
    ports.stored(commit(&claimed, ends(completed()))).await;
    ports.members.leave(owner).await.expect("leave");
    assert_eq!(states(&ports).await, []);
    assert_eq!(ports.members.heartbeat(owner, at(60)).await, Ok(false));
    ports.members.leave(owner).await.expect("leaving again");
}
