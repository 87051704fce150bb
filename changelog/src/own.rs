//! Whose a fragment is: the branch's own, or mainline's, which may keep fragments until its next release.

/// Whose a file of the fragments' places is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The branch adds it.
    Branch,
    /// Mainline has it as it is, or the branch left it as it was.
    Mainline,
    /// Mainline keeps it, and the branch corrects it.
    Corrected,
}

/// Whose a file is, by what it is where the branch leaves mainline (`base`), on mainline now, and on the branch. In a folder each
/// branch has files of its own, so that one which mainline keeps is only corrected; a single file is each branch's in turn.
pub fn whose<T: PartialEq>(base: Option<&T>, mainline: Option<&T>, own: Option<&T>, in_folder: bool) -> Whose {
    let same = |other: Option<&T>| other.is_some() && other == own;
    if same(mainline) || same(base) {
        Whose::Mainline
    } else if in_folder && base.is_some() && mainline.is_some() {
        Whose::Corrected
    } else {
        Whose::Branch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_the_branch_s_if_mainline_lacks_it() {
        use Whose::{Branch, Corrected, Mainline};
        let cases = [
            (None, None, Some(1), Branch, Branch),
            (None, Some(1), Some(1), Mainline, Mainline),
            (None, Some(2), Some(1), Branch, Branch),
            (Some(1), Some(1), Some(1), Mainline, Mainline),
            // Folded and gone on mainline: what the branch still has of it is nobody's.
            (Some(1), None, Some(1), Mainline, Mainline),
            (Some(1), None, Some(2), Branch, Branch),
            (Some(1), Some(1), Some(2), Corrected, Branch),
            (Some(1), Some(2), Some(3), Corrected, Branch),
            // Changed and not staged.
            (Some(1), Some(1), None, Corrected, Branch),
            (None, None, None, Branch, Branch),
        ];
        for (base, mainline, own, folder, single) in cases {
            let of = |in_folder| whose(base.as_ref(), mainline.as_ref(), own.as_ref(), in_folder);
            assert_eq!((of(true), of(false)), (folder, single), "{base:?} {mainline:?} {own:?}");
        }
    }
}
