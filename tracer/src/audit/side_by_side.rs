//! Work on threads, so many at a time.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

/// Does the work for each item, `jobs` at a time, in the order of the items, and gives what came of them in the same order.
///
/// # Errors
///
/// That of an item. None is begun after it.
pub fn side_by_side<I: Send, T: Send, E: Send>(
    jobs: usize,
    items: Vec<I>,
    work: impl Fn(I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = jobs.min(items.len()).max(1);
    let queue = Mutex::new(items.into_iter().enumerate());
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let failed: Mutex<Option<E>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while lock(&failed).is_none() {
                    let next = lock(&queue).next();
                    let Some((place, item)) = next else { return };
                    match work(item) {
                        Ok(result) => lock(&done).push((place, result)),
                        Err(error) => *lock(&failed) = Some(error),
                    }
                }
            });
        }
    });
    if let Some(error) = into_inner(failed) {
        return Err(error);
    }
    let mut done = into_inner(done);
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::side_by_side;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        // Both are at work at once: otherwise the barrier would hold the first one for ever.
        let both = Barrier::new(2);
        let work = |item: u32| {
            both.wait();
            Ok::<_, Infallible>(item * 10)
        };
        assert_eq!(side_by_side(2, vec![1, 2, 3, 4], work), Ok(vec![10, 20, 30, 40]));
        assert_eq!(side_by_side(0, vec![1], Ok::<i32, Infallible>), Ok(vec![1]));
        assert_eq!(side_by_side(8, Vec::new(), Ok::<u32, Infallible>), Ok(Vec::new()));
    }

    #[test]
    fn nothing_is_begun_after_an_error() {
        let begun = AtomicUsize::new(0);
        let work = |item: u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            if item == 2 { Err("no") } else { Ok(item) }
        };
        assert_eq!(side_by_side(1, vec![1, 2, 3, 4], work), Err("no"));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }
}
