//! The same done with each of many, some at a time: in a bucket each question takes as long as the way to the server.

/// Does the work with up to `threads` at a time. Results come in the order of the items.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if threads < 2 || items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let share = items.len().div_ceil(threads);
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(move || items.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().expect("the work does not panic"));
        done.flatten().collect()
    })
}
